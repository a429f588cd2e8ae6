"""What is asked of a model beside training it: commands, and what they measure with."""

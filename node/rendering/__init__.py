"""Pictures and pages of an sCT for people; knows the domain alone."""

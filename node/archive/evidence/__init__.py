"""What happened at the door of a series: who offered what, what contradicts, what is damaged."""

"""How far a synthetic CT is from a CT: SynthRAD's figures and geometric ones, numpy alone."""

"""Tables, migrations, and the values that go into the index and come out of it."""

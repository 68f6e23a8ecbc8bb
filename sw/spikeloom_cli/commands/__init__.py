"""The commands, a module for each kind; a thin layer over the other rooms, whose heavy imports wait inside."""

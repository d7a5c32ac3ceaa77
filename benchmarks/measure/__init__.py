"""What a command cost, and the machine it ran on."""

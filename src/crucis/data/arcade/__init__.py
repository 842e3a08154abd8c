"""Games that an agent learns to play: small generated ones, and Atari through an emulator."""

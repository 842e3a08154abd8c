"""What a senior colleague would say of a study after a look at its store: findings, evidence, the next action."""

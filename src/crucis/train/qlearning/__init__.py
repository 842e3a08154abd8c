"""Deep Q-learning of games in sequence: memory of transitions, updates, consolidation, the run and its account."""

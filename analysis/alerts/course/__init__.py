"""From evaluations to incidents and what is told of them: pure, for the whole shop at once."""

"""Pictures to look at: verdicts, activation maps, adversarial images, contact sheets."""

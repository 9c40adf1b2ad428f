"""What past logs tell about limits: replay of a policy, study of what senders send."""

"""What the three rooms share: names, pods, attempts and conditions. Pure."""

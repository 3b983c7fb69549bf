"""The pages that a person reads after a comparison."""

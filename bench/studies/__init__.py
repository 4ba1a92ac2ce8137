"""Published studies: recipes, their trainings, our figures beside theirs."""

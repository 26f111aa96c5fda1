"""Events of the businesses: who comes, and what is taken when. Pure."""

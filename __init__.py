"""pullback: a differentiating compiler for Python on CPUs."""

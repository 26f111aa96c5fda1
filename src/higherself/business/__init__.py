"""The HigherSelf network itself. Mostly data; so far the sample documents of its businesses."""

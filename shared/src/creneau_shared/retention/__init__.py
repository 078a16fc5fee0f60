"""How long data are kept: named settings, rules that follow from them, and the job that applies and reports them."""

"""From what somebody typed to what they mean: whom, where, how, by what name. Pure; it never diagnoses.

The words are covered by pieces that are known (`terms`, `towns`, `names`), so that the pieces fit best together
(`cover`); what they mean is put together (`meaning`: `whom`, `where`, `wishes`, `over`). What no piece covers is
ignored, and told. `Rennes dermato femme`, `dr Payet`, `kiné à domicile lyon 3`.
"""

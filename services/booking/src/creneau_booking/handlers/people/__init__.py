"""Patients and those who act for them: registered, changed, ended, erased, and what becomes of their visits."""

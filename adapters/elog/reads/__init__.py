"""Questions to the eLog: what can be asked, how, and what follows from kept answers.

Source of every fact: elog sheet, sections 1 to 4.
"""

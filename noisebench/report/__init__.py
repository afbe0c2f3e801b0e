"""One HTML file that tells everything a results folder holds.

`collect` gathers what is shown; `leaderboard`, `sections` and `tables` are parts of it. `pictures` turns figures and
faces into data URIs within a budget. `page` renders ``report.html`` with ``report.css`` and ``report.js`` inlined.
"""

"""The demonstration: the real service, and a small hosting platform that mails through it.

``cast`` and ``plan`` say who sends what and when (pure, from a seed); ``node`` is the service in
a process of its own with an accelerated clock; ``traffic`` sends the plan through its policy
socket as Postfix's smtpd processes would, ``maillog`` writes the log that the service follows;
``story`` keeps what became of it; ``screen`` shows it.
"""

"""Large providers of free mailboxes: consumers' lists are full of them."""

from __future__ import annotations

from typing import Final

_NAMES: Final = """
    126.com 163.com alice.it aol.com att.net bellsouth.net bk.ru bol.com.br btinternet.com
    charter.net comcast.net cox.net daum.net earthlink.net free.fr freenet.de gmail.com gmx.at
    gmx.ch gmx.de gmx.net googlemail.com hanmail.net hotmail.co.uk hotmail.com hotmail.fr icloud.com
    inbox.ru interia.pl laposte.net libero.it list.ru live.com mac.com mail.com mail.ru me.com
    msn.com naver.com o2.pl onet.pl orange.fr outlook.com proton.me protonmail.com qq.com rambler.ru
    rediffmail.com sbcglobal.net seznam.cz sfr.fr sina.com sky.com t-online.de talktalk.net
    terra.com.br tiscali.it uol.com.br verizon.net virgilio.it virginmedia.com wanadoo.fr web.de
    wp.pl yahoo.co.in yahoo.co.jp yahoo.co.uk yahoo.com yahoo.com.br yahoo.de yahoo.es yahoo.fr
    yahoo.it yandex.ru ymail.com zoho.com
"""

FREEMAIL: Final = frozenset(_NAMES.split())

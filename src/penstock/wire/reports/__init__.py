"""Reports that come by mail: bounces (RFC 3464 and what people wrote before it) and complaints (RFC 5965).

Bytes → ``Report``; pure, bounded in time and memory, whatever the bytes are.
"""

from penstock.wire.reports.model import BadReport, Kind, Report, ReportedRecipient
from penstock.wire.reports.reading import read_report

__all__ = ["BadReport", "Kind", "Report", "ReportedRecipient", "read_report"]

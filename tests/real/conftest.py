"""What tests on the real starter model share."""

from __future__ import annotations

from tests.starter import starter as starter
from tests.starter import starter_settings as starter_settings
from tests.starter import workspace as workspace

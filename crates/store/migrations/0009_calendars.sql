-- From which day to which bills reach, by edge and offer family.

ALTER TABLE agreement ADD COLUMN plan_calendar TEXT NOT NULL DEFAULT 'calendar-month';
ALTER TABLE agreement ADD COLUMN legacy_calendar TEXT NOT NULL DEFAULT 'calendar-month';

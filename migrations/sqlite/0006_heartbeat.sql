-- Raised by a commit every few seconds, which shows that writing works; and the last instant a serving process saw, by which
-- the next one notices that its clock has leapt.
ALTER TABLE service_state ADD COLUMN beats INTEGER NOT NULL DEFAULT 0;
ALTER TABLE service_state ADD COLUMN last_instant INTEGER;

-- A use counts in its hour only, and in its day when its hour is past its time. So far it counted in both: what hours still
-- hold is taken out of the days.
UPDATE client_usage_days SET times = times - (
    SELECT COALESCE(SUM(h.times), 0) FROM client_usage_hours h
    WHERE h.client_id = client_usage_days.client_id AND h.outcome = client_usage_days.outcome
        AND h.hour >= client_usage_days.day AND h.hour < client_usage_days.day + 86400
)
WHERE day > (SELECT COALESCE(MIN(hour), 0) - 86400 FROM client_usage_hours);
DELETE FROM client_usage_days WHERE times <= 0;

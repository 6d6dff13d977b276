//! The Prometheus text format 0.0.4, made from the OpenMetrics text. The two differ in the names of counters and in the
//! types that Prometheus does not know.

/// The content type of [`from_openmetrics`].
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The same metrics in the Prometheus text format.
pub(super) fn from_openmetrics(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // `# HELP` comes first, but the name of the metric here depends on `# TYPE`.
    let mut help = "";
    for line in text.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        match comment.split_once(' ') {
            Some(("HELP", rest)) => help = rest.split_once(' ').map_or("", |(_, text)| text),
            Some(("TYPE", rest)) => {
                let (name, kind) = rest.split_once(' ').unwrap_or((rest, "untyped"));
                let (suffix, kind) = match kind {
                    "counter" => ("_total", kind),
                    "info" => ("_info", "gauge"),
                    kind => ("", kind),
                };
                for (keyword, value) in [("HELP", help), ("TYPE", kind)] {
                    for part in ["# ", keyword, " ", name, suffix, " ", value, "\n"] {
                        out.push_str(part);
                    }
                }
            }
            // `# UNIT` and `# EOF` are unknown here.
            _ => {}
        }
    }
    out
}

/// Whether a request with the header `Accept: {accept}` (RFC 9110 §12.5.1) prefers OpenMetrics. If the header names neither
/// format, the reply is the Prometheus text.
pub(super) fn prefers_openmetrics(accept: &str) -> bool {
    let quality = |wanted: &str| {
        let of_type = accept.split(',').filter(|range| {
            range.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case(wanted))
        });
        let of_range = |range: &str| {
            let mut parameters = range.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
            let q = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("q")).map(|(_, q)| q);
            q.map_or(1.0, |q| q.trim().parse().unwrap_or(0.0_f32))
        };
        of_type.map(of_range).fold(0.0, f32::max)
    };
    let openmetrics = quality("application/openmetrics-text");
    openmetrics > 0.0 && openmetrics >= quality("text/plain")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_types_are_those_of_prometheus() {
        let openmetrics = "# HELP a A counter.\n# TYPE a counter\na_total{x=\"# TYPE\"} 1\n\
            # HELP b_seconds Time.\n# TYPE b_seconds histogram\n# UNIT b_seconds seconds\nb_seconds_count 2\n\
            # HELP build Version.\n# TYPE build info\nbuild_info{version=\"1\"} 1\n# EOF\n";
        let expected = "# HELP a_total A counter.\n# TYPE a_total counter\na_total{x=\"# TYPE\"} 1\n\
            # HELP b_seconds Time.\n# TYPE b_seconds histogram\nb_seconds_count 2\n\
            # HELP build_info Version.\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n";
        assert_eq!(from_openmetrics(openmetrics), expected);
    }

    #[test]
    fn openmetrics_is_sent_on_request() {
        let scraper = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for accept in
            [scraper, "application/openmetrics-text", "text/plain;q=0.5, Application/OpenMetrics-Text"]
        {
            assert!(prefers_openmetrics(accept), "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/plain",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=0.2,text/plain",
            "application/openmetrics-text;Q=0.2,text/plain",
        ] {
            assert!(!prefers_openmetrics(accept), "{accept}");
        }
    }
}

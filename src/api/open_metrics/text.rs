//! The text formats of OpenMetrics 1.0 and of Prometheus 0.0.4: families of metrics, and their samples.
//!
//! Knows no metric. Invariants: a family is written as a whole, after what it is; what is in a label stands in quotes, escaped.

use std::fmt::Write;

/// Which of the two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format of Prometheus, 0.0.4.
    Prometheus,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A family of metrics. The name of a counter is that of its samples, with `_total`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// A sentence without quotes, backslashes and line breaks.
    pub(super) help: &'static str,
}

/// Units that are told, by the end of the name.
const UNITS: [&str; 2] = ["seconds", "bytes"];

impl Family {
    /// The name without the suffix of a counter.
    fn stem(&self) -> &'static str {
        self.name.strip_suffix("_total").unwrap_or(self.name)
    }
}

/// Labels of a sample, as they stand between the braces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels(String);

impl Labels {
    /// With one label more.
    pub(super) fn with(&self, name: &str, value: &str) -> Self {
        let mut text = self.0.clone();
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        for character in value.chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                other => text.push(other),
            }
        }
        text.push('"');
        Self(text)
    }
}

/// A histogram as it is told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Buckets {
    /// Each bound, in order, and how many values did not exceed it.
    pub(super) up_to: Vec<(f64, u64)>,
    /// All of them together.
    pub(super) sum: f64,
    /// How many there were.
    pub(super) count: u64,
}

/// A text that grows by families.
pub(super) struct Exposition {
    format: Format,
    text: String,
}

impl Exposition {
    pub(super) fn new(format: Format) -> Self {
        let text = String::new();
        Self { format, text }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // To write to a text cannot fail.
        let _ = self.text.write_fmt(line);
        self.text.push('\n');
    }

    fn head(&mut self, family: &Family) {
        let name = match self.format {
            Format::OpenMetrics => family.stem(),
            Format::Prometheus => family.name,
        };
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {name} {}", family.help));
        self.line(format_args!("# TYPE {name} {kind}"));
        let unit = UNITS.iter().find(|unit| {
            let before = name.strip_suffix(**unit);
            before.is_some_and(|before| before.ends_with('_'))
        });
        if let (Format::OpenMetrics, Some(unit)) = (self.format, unit) {
            self.line(format_args!("# UNIT {name} {unit}"));
        }
    }

    fn sample(&mut self, name: &str, suffix: &str, labels: &Labels, value: std::fmt::Arguments<'_>) {
        match labels.0.as_str() {
            "" => self.line(format_args!("{name}{suffix} {value}")),
            labels => self.line(format_args!("{name}{suffix}{{{labels}}} {value}")),
        }
    }

    /// A family of counters or gauges that are integers; nothing without samples.
    pub(super) fn numbers(&mut self, family: &Family, samples: impl IntoIterator<Item = (Labels, u64)>) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_some() {
            self.head(family);
        }
        for (labels, value) in samples {
            self.sample(family.name, "", &labels, format_args!("{value}"));
        }
    }

    /// A gauge without labels.
    pub(super) fn gauge(&mut self, family: &Family, value: Option<f64>) {
        if let Some(value) = value {
            self.head(family);
            self.sample(family.name, "", &Labels::default(), format_args!("{value:?}"));
        }
    }

    /// A family of histograms; nothing without one.
    pub(super) fn histograms(&mut self, family: &Family, histograms: impl IntoIterator<Item = (Labels, Buckets)>) {
        let mut histograms = histograms.into_iter().peekable();
        if histograms.peek().is_some() {
            self.head(family);
        }
        for (labels, Buckets { up_to, sum, count }) in histograms {
            for (bound, up_to) in up_to {
                let labels = labels.with("le", &format!("{bound:?}"));
                self.sample(family.name, "_bucket", &labels, format_args!("{up_to}"));
            }
            self.sample(
                family.name,
                "_bucket",
                &labels.with("le", "+Inf"),
                format_args!("{count}"),
            );
            self.sample(family.name, "_sum", &labels, format_args!("{sum:?}"));
            self.sample(family.name, "_count", &labels, format_args!("{count}"));
        }
    }

    /// The whole text.
    pub(super) fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.line(format_args!("# EOF"));
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: Family = Family {
        name: "ductape_runs_total",
        kind: Kind::Counter,
        help: "Runs.",
    };
    const TIMES: Family = Family {
        name: "ductape_run_duration_seconds",
        kind: Kind::Histogram,
        help: "Times.",
    };

    fn text(format: Format) -> String {
        let mut text = Exposition::new(format);
        let labels = Labels::default().with("target", "a\"b\\c\nd{},=é");
        text.numbers(&RUNS, [(labels.clone(), 3), (Labels::default(), 0)]);
        let buckets = Buckets {
            up_to: vec![(0.004, 1), (16.384, 2)],
            sum: 1.5,
            count: 3,
        };
        text.histograms(&TIMES, [(Labels::default().with("env", ""), buckets)]);
        text.gauge(&RUNS, None);
        text.numbers(&RUNS, []);
        text.end()
    }

    #[test]
    fn open_metrics_names_a_counter_without_its_suffix_tells_units_and_has_an_end() {
        let expected = r#"# HELP ductape_runs Runs.
# TYPE ductape_runs counter
ductape_runs_total{target="a\"b\\c\nd{},=é"} 3
ductape_runs_total 0
# HELP ductape_run_duration_seconds Times.
# TYPE ductape_run_duration_seconds histogram
# UNIT ductape_run_duration_seconds seconds
ductape_run_duration_seconds_bucket{env="",le="0.004"} 1
ductape_run_duration_seconds_bucket{env="",le="16.384"} 2
ductape_run_duration_seconds_bucket{env="",le="+Inf"} 3
ductape_run_duration_seconds_sum{env=""} 1.5
ductape_run_duration_seconds_count{env=""} 3
# EOF
"#;
        assert_eq!(text(Format::OpenMetrics), expected);
    }

    #[test]
    fn prometheus_names_a_counter_as_its_samples() {
        let text = text(Format::Prometheus);
        assert!(
            text.starts_with("# HELP ductape_runs_total Runs.\n# TYPE ductape_runs_total counter\n"),
            "{text}"
        );
        assert!(!text.contains("UNIT") && !text.contains("EOF"), "{text}");
    }
}

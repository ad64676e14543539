//! The table of references such as `$Input{…}`: their names and forms.

use crate::text::spelling::{nearest, truncated};

/// What a reference refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The time at which the attempt starts.
    Now,
    /// Another part of the same input.
    Input,
    /// The data of the job's session.
    Session,
    /// A secret.
    Secret,
    /// Another name for a secret.
    Token,
    /// A fact about the run.
    Var,
    /// A variable of an app.
    Variable,
    /// A constant of an app.
    Constant,
    /// Credentials of an app.
    Auth,
    /// What an earlier event of a feature yielded.
    Sequence,
    /// The answer to a request.
    Response,
    /// The default of a field.
    Default,
}

/// How a reference is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The name alone, or with empty parentheses.
    Bare,
    /// With a path: `{a}{b}` or `{a.b}`.
    Path,
    /// With a name in parentheses.
    Parenthesized,
}

/// Name, reference, form and an example.
type Row = (&'static str, Reference, Form, &'static str);

const REFERENCES: [Row; 12] = [
    ("Now", Reference::Now, Form::Bare, "$Now()"),
    ("Input", Reference::Input, Form::Path, "$Input{user}{name}"),
    ("Session", Reference::Session, Form::Path, "$Session{user}{email}"),
    ("Secret", Reference::Secret, Form::Path, "$Secret{API_KEY}"),
    ("Token", Reference::Token, Form::Path, "$Token{API_KEY}"),
    ("Var", Reference::Var, Form::Parenthesized, "$Var(attempt)"),
    ("Variable", Reference::Variable, Form::Path, "$Variable{app}{key}"),
    ("Constant", Reference::Constant, Form::Path, "$Constant{app}{key}"),
    ("Auth", Reference::Auth, Form::Path, "$Auth{app}{token}"),
    (
        "Sequence",
        Reference::Sequence,
        Form::Path,
        "$Sequence{main}{charge}{id}",
    ),
    ("Response", Reference::Response, Form::Path, "$Response{body}{id}"),
    ("Default", Reference::Default, Form::Bare, "$Default"),
];

/// The names that `$Var(…)` takes.
pub(super) const VARIABLE_NAMES: [&str; 6] = ["execution_count", "attempt", "job_id", "scheduled_at", "product", "env"];

impl Reference {
    pub(super) fn find(name: &str) -> Option<(Self, Form)> {
        REFERENCES
            .iter()
            .find(|(known, ..)| *known == name)
            .map(|(_, reference, form, _)| (*reference, *form))
    }

    /// Its name, without the dollar.
    #[must_use]
    pub fn name(self) -> &'static str {
        REFERENCES
            .iter()
            .find(|(_, reference, ..)| *reference == self)
            .map_or("", |(name, ..)| name)
    }

    /// An example of its use, for messages and documentation.
    #[must_use]
    pub fn example(self) -> &'static str {
        REFERENCES
            .iter()
            .find(|(_, reference, ..)| *reference == self)
            .map_or("", |(.., example)| example)
    }
}

/// All references, for documentation.
pub fn references() -> impl Iterator<Item = Reference> {
    REFERENCES.iter().map(|(_, reference, ..)| *reference)
}

pub(super) fn unknown_variable_message(name: &str) -> String {
    match nearest(name, VARIABLE_NAMES.iter().copied()) {
        Some(known) => format!(
            "does not know the variable '{}'; did you mean '{known}'?",
            truncated(name)
        ),
        None => format!(
            "does not know the variable '{}'; known are {}",
            truncated(name),
            VARIABLE_NAMES.join(", ")
        ),
    }
}

//! A form: fields one below the other, each checked while it is typed, with what is wrong
//! beside it.
//!
//! ```text
//!  ▌owner        alice▏
//!   tags         eu, Pci    "Pci" is no name: a-z, 0-9 and inner hyphens
//! ```

use std::fmt;

use tui_input::Input;

/// What says what is wrong with what is typed.
pub type Check = fn(&str) -> Result<(), String>;

/// One field.
pub struct Field {
    /// What it is called.
    pub name: &'static str,
    /// What goes in, where nothing is wrong.
    pub help: &'static str,
    /// What is typed.
    pub input: Input,
    /// Text of several lines, which only the editor changes; then `input` is not used.
    pub long: Option<String>,
    /// What is wrong with it.
    pub wrong: Option<String>,
    check: Check,
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:?}", self.name, self.text())
    }
}

/// Fields, and the one in which one types.
#[derive(Debug)]
pub struct Form {
    /// The fields.
    pub fields: Vec<Field>,
    /// Where one types.
    pub at: usize,
}

impl Field {
    /// A field that says this.
    pub fn new(name: &'static str, help: &'static str, text: &str, check: Check) -> Self {
        let is_long = text.contains('\n');
        let mut field = Self {
            name,
            help,
            input: if is_long {
                Input::default()
            } else {
                text.into()
            },
            long: is_long.then(|| text.to_owned()),
            wrong: None,
            check,
        };
        field.check();
        field
    }

    /// What it says.
    pub fn text(&self) -> &str {
        self.long.as_deref().unwrap_or(self.input.value())
    }

    /// Says what is wrong with it.
    pub fn check(&mut self) {
        self.wrong = (self.check)(self.text()).err();
    }
}

impl Form {
    /// A form whose first field is typed in.
    pub fn new(fields: Vec<Field>) -> Self {
        Self { fields, at: 0 }
    }

    /// To the next field, or the one before.
    pub fn go(&mut self, forward: bool) {
        let count = self.fields.len().max(1);
        let by = if forward { 1 } else { count - 1 };
        self.at = (self.at + by) % count;
    }

    /// Whether one is in the last field.
    pub fn is_last(&self) -> bool {
        self.at + 1 >= self.fields.len()
    }

    /// What a field says; empty where there is no such field.
    pub fn text(&self, name: &str) -> &str {
        let field = self.fields.iter().find(|field| field.name == name);
        field.map_or("", Field::text)
    }

    /// The first field that is wrong.
    pub fn wrong(&self) -> Option<usize> {
        self.fields.iter().position(|field| field.wrong.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_goes_round_and_knows_its_first_wrong_field() {
        let check: Check = |text| match text {
            "bad" => Err("not that".into()),
            _ => Ok(()),
        };
        let field = |name, text| Field::new(name, "", text, check);
        let mut form = Form::new(vec![
            field("a", "good"),
            field("b", "bad"),
            field("c", "x\ny"),
        ]);
        assert_eq!(form.wrong(), Some(1));
        assert_eq!(form.text("c"), "x\ny");
        form.go(false);
        assert!(form.is_last());
        form.go(true);
        assert_eq!(form.at, 0);
    }
}

//! Fragments of a kernel's or busybox's configuration, and whether a built one has what they say.

use crate::fault::Outcome;
use std::collections::BTreeMap;

/// Symbol → its value as written; none where it is to be unset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragment(BTreeMap<String, Option<String>>);

impl Fragment {
    /// Reads a fragment, or a whole configuration.
    ///
    /// # Errors
    /// A line that is neither a comment nor a symbol, or a symbol that comes twice.
    pub fn parse(text: &str) -> Outcome<Self> {
        let mut found = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let wrong = |what: &str| format!("line {number}: {what}: {line}");
            let (symbol, value) = if let Some(unset) = unset(line) {
                (unset, None)
            } else if line.starts_with('#') || line.trim().is_empty() {
                continue;
            } else {
                let (symbol, value) = line.split_once('=').ok_or_else(|| wrong("no symbol"))?;
                (symbol, Some(value.to_owned()))
            };
            if !symbol.starts_with("CONFIG_") {
                return Err(wrong("no symbol"));
            }
            if found.0.insert(symbol.to_owned(), value).is_some() {
                return Err(wrong("is said twice"));
            }
        }
        Ok(found)
    }

    /// Several, as one; none may say what another one says.
    ///
    /// # Errors
    /// See [`Self::parse`].
    pub fn together<'a>(texts: impl IntoIterator<Item = &'a str>) -> Outcome<Self> {
        Self::parse(&texts.into_iter().collect::<Vec<_>>().join("\n"))
    }

    /// What a built configuration lacks of it.
    #[must_use]
    pub fn missing_in(&self, built: &Self) -> Vec<String> {
        let unmet = self.0.iter().filter(|(symbol, wanted)| {
            // Absent is as good as unset.
            built.0.get(*symbol).unwrap_or(&None) != *wanted
        });
        unmet
            .map(|(symbol, wanted)| {
                let said = |value: &Option<String>| value.clone().unwrap_or("unset".into());
                let is = built.0.get(symbol).map_or("absent".into(), said);
                format!("{symbol} is {is}, not {}", said(wanted))
            })
            .collect()
    }

    /// The applets that a fragment of busybox switches on. Most are called like their symbols.
    pub fn applets(&self) -> impl Iterator<Item = String> {
        let on = self.0.iter().filter(|(_, v)| v.as_deref() == Some("y"));
        let names = on.filter_map(|(symbol, _)| symbol.strip_prefix("CONFIG_"));
        names
            .filter(|name| !name.starts_with("FEATURE_"))
            .map(|name| match name {
                "SH_IS_ASH" => "sh".to_owned(),
                "BB_SYSCTL" => "sysctl".to_owned(),
                name => name.to_lowercase(),
            })
    }
}

/// The symbol of a line such as `# CONFIG_X is not set`.
fn unset(line: &str) -> Option<&str> {
    line.strip_prefix("# ")?.strip_suffix(" is not set")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let fragment = "# words\nCONFIG_A=y\nCONFIG_B=y\n# CONFIG_C is not set\nCONFIG_D=5\n\
                        # CONFIG_E is not set\nCONFIG_F=y\n";
        let built = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=y\nCONFIG_D=4\n";
        let fragment = Fragment::parse(fragment).unwrap();
        assert_eq!(
            fragment.missing_in(&Fragment::parse(built).unwrap()),
            [
                "CONFIG_B is unset, not y",
                "CONFIG_C is y, not unset",
                "CONFIG_D is 4, not 5",
                "CONFIG_F is absent, not y",
            ]
        );
    }

    #[test]
    fn applets_are_named() {
        let text = "CONFIG_SH_IS_ASH=y\nCONFIG_MOUNT=y\nCONFIG_FEATURE_X=y\n\
                    # CONFIG_AWK is not set\nCONFIG_FEATURE_SIZE=5\n";
        let applets = Fragment::parse(text).unwrap();
        assert_eq!(applets.applets().collect::<Vec<_>>(), ["mount", "sh"]);
    }

    #[test]
    fn what_is_no_fragment_is_refused() {
        for text in [
            "CONFIG_A",
            "A=y",
            "CONFIG_A=y\nCONFIG_A=y",
            "CONFIG_A=y\n# CONFIG_A is not set",
        ] {
            assert!(Fragment::parse(text).is_err(), "{text}");
        }
        assert!(Fragment::together(["CONFIG_A=y\n", "CONFIG_A=y\n"]).is_err());
    }
}

//! `appliance.toml`, and what `--set` adds: lines that begin with `--set ` are those, all others are the file.

use kandian::config::{Config, Written, changed, parse, to_json, to_toml};

/// Reads a configuration: all that is wrong with it, or one that is shown as what is read back to the same.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (sets, file): (Vec<_>, Vec<_>) = text.split('\n').partition(|line| line.starts_with("--set "));
    let sets: Vec<String> = sets.into_iter().map(|set| set["--set ".len()..].to_owned()).collect();
    let written = Written { file: Some(("appliance.toml".to_owned(), file.join("\n"))), data: None, sets };
    match parse(&written) {
        Err(problems) => {
            assert!(!problems.0.is_empty());
            for problem in &problems.0 {
                assert!(!problem.to_string().is_empty());
            }
        }
        Ok(config) => {
            let shown = to_toml(&config);
            let again = parse(&of_file(&shown)).unwrap_or_else(|problems| panic!("{problems}\n{shown}"));
            assert_eq!(again, config, "{shown}");
            assert!(changed(&config, &again).is_empty());
            assert!(to_json(&config).is_object());
            // What is not as it is by itself is among what has changed.
            let default = Config::default();
            assert_eq!(changed(&default, &config).is_empty(), default == config);
        }
    }
    // The data directory moves and nothing else does.
    if let Ok(moved) = parse(&Written { data: Some("/elsewhere".into()), ..written.clone() }) {
        assert_eq!(moved.storage.data_dir, std::path::Path::new("/elsewhere"));
    }
}

fn of_file(text: &str) -> Written {
    Written { file: Some(("shown".to_owned(), text.to_owned())), ..Written::default() }
}

//! The command line as a whole: it is consistent, and its help tells the truth.

use clap::{CommandFactory, Parser};

use super::Cli;

/// The help of every subcommand, with the words that lead to it.
fn helps() -> Vec<(String, String)> {
    fn collect(command: &mut clap::Command, path: &str, helps: &mut Vec<(String, String)>) {
        helps.push((path.to_owned(), command.render_long_help().to_string()));
        for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
            let path = format!("{path} {}", sub.get_name());
            collect(sub, &path, helps);
        }
    }
    let mut helps = Vec::new();
    collect(&mut Cli::command(), "dictum", &mut helps);
    helps
}

/// Splits a line as a shell does, as far as examples need it.
fn shell_words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for c in line.chars() {
        match (c, words.last_mut()) {
            ('"', _) => is_quoted = !is_quoted,
            (' ', _) if !is_quoted => words.push(String::new()),
            (c, Some(word)) => word.push(c),
            (_, None) => {}
        }
    }
    words.into_iter().take_while(|word| !matches!(&**word, "<" | ">>")).collect()
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_example_of_every_help_is_right_use() {
    let mut n_examples = 0;
    for (path, help) in helps() {
        for example in help.lines().filter_map(|line| line.strip_prefix("  dictum ")) {
            let words = [vec!["dictum".to_owned()], shell_words(example)].concat();
            let parsed = Cli::try_parse_from(&words);
            assert!(parsed.is_ok(), "{path}: {words:?}: {}", parsed.expect_err("it is wrong use"));
            n_examples += 1;
        }
    }
    assert!(n_examples >= 20, "{n_examples}");
}

#[test]
fn every_subcommand_has_examples() {
    for (path, help) in helps().iter().filter(|(path, _)| path.split(' ').count() == 2) {
        assert!(help.contains("\nExamples:\n  dictum "), "{path}:\n{help}");
    }
}

#[test]
fn every_option_says_what_it_is_for() {
    fn check(command: &clap::Command) {
        for argument in command.get_arguments() {
            let name = (command.get_name(), argument.get_id().as_str());
            assert!(argument.get_help().is_some(), "{name:?}");
        }
        command.get_subcommands().for_each(check);
    }
    check(&Cli::command());
}

#[test]
fn help_fits_a_terminal_of_100_columns() {
    for (path, help) in helps() {
        let long = help.lines().find(|line| line.chars().count() > 100);
        assert_eq!(long, None, "{path}");
    }
}

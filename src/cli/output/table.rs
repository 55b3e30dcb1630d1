//! Rows and columns: on a terminal with a line under the head and no wider than it is, in a pipe plain.

use std::fmt::Write;
use std::io;

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, TableStyle};
use terminal_size::{Width, terminal_size_of};

use super::text::visible;
use super::{FAINT, Format, HEADING};

/// One line between head and body, none around.
const RULED: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table in the making.
#[derive(Debug)]
pub(super) struct Table {
    aligns: Vec<Align>,
    header: Option<Vec<&'static str>>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Begins a table whose columns have titles.
    pub(super) fn titled(columns: &[(&'static str, Align)]) -> Self {
        let (titles, aligns) = columns.iter().copied().unzip();
        Self { aligns, header: Some(titles), rows: Vec::new() }
    }

    /// Begins a table whose columns speak for themselves.
    pub(super) fn plain(aligns: &[Align]) -> Self {
        Self { aligns: aligns.to_vec(), header: None, rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl Into<Vec<String>>) {
        self.rows.push(cells.into());
    }

    /// Returns the table, every line ended and without white space at its end.
    pub(super) fn render(&self, format: Format) -> String {
        let mut text = String::new();
        for (position, line) in self.lines(format, width(format)).into_iter().enumerate() {
            let style = match (&self.header, position) {
                (Some(_), 0) => HEADING,
                (Some(_), 1) if format == Format::Terminal => FAINT,
                _ => anstyle::Style::new(),
            };
            writeln!(text, "{style}{}{style:#}", line.trim_end()).ok();
        }
        text
    }

    /// Returns the lines; where a width in columns is given, cells are broken into several to fit.
    fn lines(&self, format: Format, width: Option<u16>) -> Vec<String> {
        let mut table = comfy_table::Table::new();
        if let Some(width) = width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        table.load_style(if format == Format::Terminal { RULED } else { TableStyle::new() });
        if let Some(titles) = &self.header {
            table.set_header(self.cells(titles));
        }
        for row in &self.rows {
            table.add_row(self.cells(row));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        table.lines().collect()
    }

    fn cells<T: AsRef<str>>(&self, row: &[T]) -> Vec<Cell> {
        let cell = |(text, align): (&T, &Align)| {
            Cell::new(visible(text.as_ref())).set_alignment(match align {
                Align::Left => CellAlignment::Left,
                Align::Right => CellAlignment::Right,
            })
        };
        row.iter().zip(&self.aligns).map(cell).collect()
    }
}

/// Columns of the terminal that is written to; a pipe has none.
fn width(format: Format) -> Option<u16> {
    let size = (format == Format::Terminal).then(|| terminal_size_of(io::stdout())).flatten();
    size.map(|(Width(width), _)| width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_no_wider_than_the_terminal_and_loses_no_word() {
        let mut table = Table::titled(&[("line", Align::Right), ("sentence", Align::Left)]);
        let words: Vec<String> = (100..140).map(|n| format!("word{n}")).collect();
        table.row(["17".to_owned(), words.join(" ")]);
        let lines = table.lines(Format::Terminal, Some(60));
        assert!(lines.len() > 3 && lines.iter().all(|line| line.chars().count() <= 60));
        let text = lines.join(" ");
        assert!(words.iter().all(|word| text.contains(word.as_str())), "{text}");
    }

    fn example(format: Format) -> String {
        let mut table = Table::titled(&[("label", Align::Left), ("support", Align::Right)]);
        table.row(["denial".to_owned(), "1,200".to_owned()]);
        table.row(["日本語\u{1b}".to_owned(), "7".to_owned()]);
        anstream::adapter::strip_str(&table.render(format)).to_string()
    }

    #[test]
    fn a_table_in_a_pipe_is_columns_alone() {
        let expected = "label    support\ndenial     1,200\n日本語\u{fffd}        7\n";
        assert_eq!(example(Format::Plain), expected);
    }

    #[test]
    fn a_table_on_a_terminal_has_a_line_under_its_head() {
        let table = example(Format::Terminal);
        assert!(table.lines().nth(1).is_some_and(|line| line.chars().all(|c| c == '─')), "{table}");
    }
}

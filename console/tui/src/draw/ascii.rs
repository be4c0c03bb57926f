//! For terminals that show nothing but ASCII: every letter beyond it becomes one that it has,
//! in the one place where everything passes.

use ratatui::buffer::Buffer;

/// Replaces what is not ASCII, cell by cell.
pub(super) fn reduce(buf: &mut Buffer) {
    for cell in &mut buf.content {
        if cell.symbol().is_ascii() {
            continue;
        }
        let letter = cell.symbol().chars().next().unwrap_or(' ');
        cell.set_char(plain(letter));
    }
}

fn plain(letter: char) -> char {
    match letter {
        '▌' => '>',
        '▏' => '|',
        '–' | '—' | '─' | '╌' => '-',
        '…' => '~',
        'µ' => 'u',
        '×' => 'x',
        '·' => '.',
        '▾' | '↓' => 'v',
        '▴' | '↑' => '^',
        '→' | '▸' => '>',
        '←' => '<',
        '≤' => '<',
        '≥' => '>',
        'σ' => 's',
        '│' | '┆' | '┊' | '┤' | '├' => '|',
        '╭' | '╮' | '╯' | '╰' | '┌' | '┐' | '└' | '┘' | '┼' | '┴' | '┬' => {
            '+'
        }
        '▁' => '_',
        '▂' => '.',
        '▃' => ':',
        '▄' => '-',
        '▅' => '=',
        '▆' => '+',
        '▇' => '*',
        '█' | '▓' => '#',
        '░' => ':',
        '▒' => '+',
        '✓' => '+',
        '●' => '*',
        '○' => 'o',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_ascii_is_left() {
        let mut buf = Buffer::with_lines(["▌ 3.1 µs – ▁▂█ 日"]);
        reduce(&mut buf);
        assert!(buf.content.iter().all(|cell| cell.symbol().is_ascii()));
        assert!(
            buf.content
                .iter()
                .map(|cell| cell.symbol())
                .collect::<String>()
                .starts_with("> 3.1 us")
        );
    }
}

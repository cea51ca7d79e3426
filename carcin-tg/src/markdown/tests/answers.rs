//! What typical answers look like on a phone.

use super::super::render;
use super::marked;

fn shown(markdown: &str) -> String {
    marked(&render(markdown))
}

const A_SUMMARY_OF_WORK: &str = "I've fixed the race in `Spool::open`. Here's what changed:\n\n\
         ## Changes\n\n\
         1. **`spool.rs`** – takes the lock *before* the length is read\n\
         2. **Tests** – added `a_torn_frame_is_cut` to tests/spool.rs\n   \
            - covers the crash at 4096 bytes\n   \
            - and at 0\n\
         3. See [the docs](https://docs.rs/nix/latest/nix/) and [main.rs:42](src/main.rs#L42)\n\n\
         ### Next steps\n\
         - [x] Fix\n- [ ] Release notes in CHANGELOG.md\n\n\
         ---\n\n\
         Run it with:\n\n\
         ```bash\ncargo test -p carcind \\\n\t--test spool\n```\n\n\
         > Note that ~~two~~ three tests are ignored.\n> > They need root.\n\n\
         Want me to continue?";

const LISTS: &str = "Before\n- one\n- two\n  continued\n  - inner\n    - innermost\n- three\n\n  second paragraph\n\n  \
         ```\n  code in item\n  ```\n- \n- > quoted\n- - twice\n\n9. nine\n10. ten\n\n    under ten\n\n\
         * [ ] open\n* [x] **done**\n\nAfter\n\n1. [x] numbered task";

const TABLES_THAT_FIT_ARE_ALIGNED: &str =
    "| Name | Size | Ok |\n|:-----|-----:|:--:|\n| `spool` | 4096 | ✅ |\n| **日本** | 7 | |\n\nAfter";

const WIDE_TABLES_BECOME_LISTS: &str = "| File | What it does | Lines |\n|---|---|---|\n\
         | `spool.rs` | keeps **every** byte that the process wrote | 210 |\n\
         | fifo.rs | | 90 |\n\n\
         | Topic | Link |\n|---|---|\n| Telegram | [docs](https://core.telegram.org) |\n| a | b<br>c |";

const QUOTES_ARE_FLAT: &str =
    "> one\n> > two\n> > - item\n>\n> ```sh\n> ls\n> ```\n\n> [!WARNING]\n> Careful\n\ntext\n> \nend";

const LINKS_AND_PICTURES: &str = "[ok](https://a.de \"title\") [rel](../x.md) [x.md](x.md) [local](http://localhost:3000/) \
         <https://a.de/b> <http://localhost:1> <a@b.de> [mail](mailto:a@b.de) [a@b.de](mailto:a@b.de) [](https://e.de) []() \
         [js](javascript:alert(1)) ![alt](https://a.de/p.png) ![](p.png) [![badge](https://b.de/s.svg)](https://a.de) \
         [`code`](https://a.de) **bold [link](https://a.de) on** https://plain.de";

const EMPHASIS: &str = "***both*** **bold *inner* bold** *a **b** `c` d* ~~gone~~ snake_case_name 2*3*4 **bold with `code` inside**\n\
         # Title with `code` and *stress*\nText\n#\n## \nEnd";

const MATH_AND_PRICES: &str = "Euler: $e^{i\\pi} = -1$ costs $5 or $10, $HOME/$PATH\n\n$$\n\\sum_{i=0}^n i\n$$\n\nand $$x = 1$$ inline\n\n\
     Or \\(a_1 + b_2\\), \\[\n  x = \\frac{1}{2}\n+ y\n\\] but `\\(a_1\\)`, \\\\(c_1\\\\) and \\[WIP\\]";

const HTML_IS_TEXT: &str = "<details>\n<summary>More</summary>\n\nHidden **text**\n\n</details>\n\na <kbd>Ctrl</kbd> b<br>c <!-- note -->";

const FALSE_LINKS_ARE_CODE: &str = "Edit main.rs, (src/lib.rs:12) and \"Cargo.toml\"; see example.com or https://a.de/x.rs. Put it in /tmp. \
         Use @types/node and Node.js, user.id, **bold foo.py**, [x.rs](https://a.de)! Version 1.2.3, e.g. this. 😀 a.sh";

const FOOTNOTES: &str = "Claim[^1] and[^2].\n\n[^1]: Source.\n[^2]: Other\n    source.\n\nAfter";

const CODE_BLOCKS: &str = "```rust,ignore\nfn f() {\n    1\n}\n\n```\n```\nplain\n```\n    indented\n\n```\n\n```\n~~~c++ title\nint a;";

/// All of them, for what holds of every answer.
pub(super) const ANSWERS: [&str; 12] = [
    A_SUMMARY_OF_WORK,
    LISTS,
    TABLES_THAT_FIT_ARE_ALIGNED,
    WIDE_TABLES_BECOME_LISTS,
    QUOTES_ARE_FLAT,
    LINKS_AND_PICTURES,
    EMPHASIS,
    MATH_AND_PRICES,
    HTML_IS_TEXT,
    FALSE_LINKS_ARE_CODE,
    FOOTNOTES,
    CODE_BLOCKS,
];

#[test]
fn a_summary_of_work() {
    insta::assert_snapshot!(shown(A_SUMMARY_OF_WORK));
}

#[test]
fn lists() {
    insta::assert_snapshot!(shown(LISTS));
}

#[test]
fn tables_that_fit_are_aligned() {
    insta::assert_snapshot!(shown(TABLES_THAT_FIT_ARE_ALIGNED));
}

#[test]
fn wide_tables_become_lists() {
    insta::assert_snapshot!(shown(WIDE_TABLES_BECOME_LISTS));
}

#[test]
fn quotes_are_flat() {
    insta::assert_snapshot!(shown(QUOTES_ARE_FLAT));
}

#[test]
fn links_and_pictures() {
    insta::assert_snapshot!(shown(LINKS_AND_PICTURES));
}

#[test]
fn emphasis() {
    insta::assert_snapshot!(shown(EMPHASIS));
}

#[test]
fn math_and_prices() {
    insta::assert_snapshot!(shown(MATH_AND_PRICES));
}

#[test]
fn html_is_text() {
    insta::assert_snapshot!(shown(HTML_IS_TEXT));
}

#[test]
fn false_links_are_code() {
    insta::assert_snapshot!(shown(FALSE_LINKS_ARE_CODE));
}

#[test]
fn footnotes() {
    insta::assert_snapshot!(shown(FOOTNOTES));
}

#[test]
fn code_blocks() {
    insta::assert_snapshot!(shown(CODE_BLOCKS));
}

//! Whether Claude can be shown a picture.
//!
//! A picture that the Messages API cannot process is refused, and with it every later request of the conversation, which has
//! it in its history. So what is shown is looked at first: not decoded, but read from its head to its end in the format's
//! own structure, with its checksums where it has any. What was cut off or is something else does not pass.

use std::fs;
use std::path::Path;

use crate::update::LARGEST_SIDE;

/// The most bytes that are looked at; what is larger does not fit into a prompt.
const LARGEST: u64 = 5 << 20;

/// What a picture is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Claude can see it.
    Good,
    /// It is a picture, and Claude must open the file to see it.
    TooLarge,
    /// It is none, or not all of one: opened as a picture, it would spoil the conversation.
    Damaged,
}

/// Looks at the file.
pub(super) fn look(path: &Path) -> Verdict {
    match fs::metadata(path) {
        Ok(data) if data.len() > LARGEST => Verdict::TooLarge,
        Ok(_) => fs::read(path).map_or(Verdict::Damaged, |bytes| judge(&bytes)),
        Err(_) => Verdict::Damaged,
    }
}

fn judge(bytes: &[u8]) -> Verdict {
    let size = match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', rest @ ..] => png(rest),
        [0xff, 0xd8, rest @ ..] => jpeg(rest),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', rest @ ..] => gif(rest),
        [b'R', b'I', b'F', b'F', rest @ ..] => webp(rest),
        _ => None,
    };
    match size {
        None | Some((0, _) | (_, 0)) => Verdict::Damaged,
        Some((width, height)) if u64::from(width.max(height)) > LARGEST_SIDE => Verdict::TooLarge,
        Some(_) => Verdict::Good,
    }
}

type Size = (u32, u32);

/// Takes so many bytes from the front.
fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn big(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn little(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn length(number: u32) -> Option<usize> {
    usize::try_from(number).ok()
}

/// Chunks with a checksum each, from `IHDR` over `IDAT` to `IEND`.
fn png(mut rest: &[u8]) -> Option<Size> {
    let mut size = None;
    let mut data = false;
    loop {
        let count = length(big(take(&mut rest, 4)?))?;
        let body = take(&mut rest, count.checked_add(4)?)?;
        if crc(body) != big(take(&mut rest, 4)?) {
            return None;
        }
        let (kind, content) = body.split_at(4);
        match kind {
            b"IHDR" => {
                let [width, height] = [content.get(..4)?, content.get(4..8)?].map(big);
                size = Some((width, height));
            }
            b"IDAT" => {
                // It begins as what zlib packs does.
                if !data
                    && content.len() >= 2
                    && (content[0] & 15 != 8 || !big(&content[..2]).is_multiple_of(31))
                {
                    return None;
                }
                data = true;
            }
            b"IEND" => return size.filter(|_| data),
            _ => {}
        }
        size?;
    }
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1)))
    })
}

/// Segments up to the frame and its scan, and the mark of the end behind that.
fn jpeg(mut rest: &[u8]) -> Option<Size> {
    let mut size = None;
    loop {
        if take(&mut rest, 1)?[0] != 0xff {
            return None;
        }
        let mut mark = take(&mut rest, 1)?[0];
        // Padding.
        while mark == 0xff {
            mark = take(&mut rest, 1)?[0];
        }
        match mark {
            0x01 | 0xd0..=0xd7 => {}
            0xd8 | 0xd9 | 0x00 => return None,
            kind => {
                let count = length(big(rest.get(..2)?))?;
                let segment = take(&mut rest, count)?.get(2..)?;
                match kind {
                    // Baseline, extended and progressive: what every decoder knows.
                    0xc0..=0xc2 => {
                        let [height, width] = [segment.get(1..3)?, segment.get(3..5)?].map(big);
                        size = Some((width, height));
                    }
                    0xda => {
                        let ends = rest.windows(2).rposition(|two| two == [0xff, 0xd9])?;
                        return size.filter(|_| ends > 0);
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Blocks up to the trailer, one picture at least.
fn gif(mut rest: &[u8]) -> Option<Size> {
    let screen = take(&mut rest, 7)?;
    let size = (little(&screen[..2]), little(&screen[2..4]));
    skip_colours(&mut rest, screen[4])?;
    let mut pictures = 0;
    loop {
        match take(&mut rest, 1)?[0] {
            0x21 => {
                take(&mut rest, 1)?;
            }
            0x2c => {
                let head = take(&mut rest, 9)?;
                skip_colours(&mut rest, head[8])?;
                // How wide its codes are.
                take(&mut rest, 1)?;
                pictures += 1;
            }
            0x3b => return Some(size).filter(|_| pictures > 0),
            _ => return None,
        }
        loop {
            let count = usize::from(take(&mut rest, 1)?[0]);
            if count == 0 {
                break;
            }
            take(&mut rest, count)?;
        }
    }
}

fn skip_colours(rest: &mut &[u8], flags: u8) -> Option<()> {
    if flags & 0x80 != 0 {
        take(rest, 3 << ((flags & 7) + 1))?;
    }
    Some(())
}

/// Chunks within one, of which one is the picture. One that moves is not for the API.
fn webp(mut rest: &[u8]) -> Option<Size> {
    let count = length(little(take(&mut rest, 4)?))?;
    let mut rest = take(&mut rest, count)?;
    if take(&mut rest, 4)? != b"WEBP" {
        return None;
    }
    while !rest.is_empty() {
        let kind = take(&mut rest, 4)?;
        let count = length(little(take(&mut rest, 4)?))?;
        let content = take(&mut rest, count)?;
        // They begin at even places.
        take(&mut rest, count % 2)?;
        match kind {
            b"VP8 " => {
                let [width, height] =
                    [content.get(6..8)?, content.get(8..10)?].map(|side| little(side) & 0x3fff);
                return (content[3..6] == [0x9d, 0x01, 0x2a]).then_some((width, height));
            }
            b"VP8L" => {
                let bits = little(content.get(1..5)?);
                return (content[0] == 0x2f).then_some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1));
            }
            b"ANIM" | b"ANMF" => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One pixel of each kind.
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";
    const GIF: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0!\xf9\x04\0\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
    const WEBP: &[u8] = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0";

    /// The structure of a JPEG, not one that could be seen.
    fn jpeg_of(width: u16, height: u16) -> Vec<u8> {
        let mut bytes =
            b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xff\xc0\0\x0b\x08".to_vec();
        bytes.extend([height, width].iter().flat_map(|side| side.to_be_bytes()));
        bytes.extend(b"\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\0\x3f\0data\xff\xd9");
        bytes
    }

    fn png_of(width: u32) -> Vec<u8> {
        let mut bytes = PNG.to_vec();
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        let crc = crc(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    fn all() -> [Vec<u8>; 4] {
        [PNG.to_vec(), GIF.to_vec(), WEBP.to_vec(), jpeg_of(1, 1)]
    }

    #[test]
    fn whole_pictures_are_shown_also_with_something_behind_them() {
        for mut picture in all() {
            assert_eq!(judge(&picture), Verdict::Good, "{}", picture.escape_ascii());
            picture.extend(b"\n");
            assert_eq!(judge(&picture), Verdict::Good, "{}", picture.escape_ascii());
        }
    }

    #[test]
    fn what_is_cut_off_anywhere_is_not_shown() {
        for picture in all() {
            for end in 0..picture.len() {
                assert_eq!(judge(&picture[..end]), Verdict::Damaged, "{}", picture[..end].escape_ascii());
            }
        }
    }

    #[test]
    fn a_page_a_wrong_byte_a_size_of_nothing_and_one_that_moves_are_not_shown() {
        let mut wrong = PNG.to_vec();
        wrong[45] ^= 1;
        let moves = b"RIFF\x12\0\0\0WEBPANIM\x06\0\0\0\0\0\0\0\0\0".to_vec();
        for bytes in
            [b"<!DOCTYPE html><html>404</html>".to_vec(), Vec::new(), wrong, png_of(0), jpeg_of(0, 9), moves]
        {
            assert_eq!(judge(&bytes), Verdict::Damaged, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_is_larger_than_claude_takes_is_a_file() {
        assert_eq!(judge(&png_of(2_000)), Verdict::Good);
        assert_eq!(judge(&png_of(2_001)), Verdict::TooLarge);
        assert_eq!(judge(&jpeg_of(64, 9_000)), Verdict::TooLarge);
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.png");
        fs::write(&path, [PNG, &vec![0; 6 << 20]].concat()).expect("writes");
        assert_eq!(look(&path), Verdict::TooLarge);
        assert_eq!(look(&dir.path().join("none.png")), Verdict::Damaged);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_fail(head in 0..5usize, rest in proptest::collection::vec(any::<u8>(), 0..200)) {
            let heads: [&[u8]; 5] = [b"", &PNG[..8], &GIF[..6], &WEBP[..16], b"\xff\xd8"];
            judge(&[heads[head], &rest].concat());
        }
    }
}

use proptest::{prelude::*, sample::Index};

use super::*;
use crate::model::arbitrary;

/// Gives a file that was tampered with a digest that matches.
fn seal(mut file: Vec<u8>) -> Vec<u8> {
    let digest = digest(&file).unwrap();
    file[DIGEST].copy_from_slice(digest.as_bytes());
    file
}

/// Replaces the header by another, under a digest that matches.
fn with_header(file: &[u8], change: impl Fn(&str) -> String) -> Vec<u8> {
    let old_len = header_len(file);
    let mut header = change(std::str::from_utf8(&file[8..8 + old_len]).unwrap());
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    let len = u64::try_from(header.len()).unwrap();
    seal([len.to_le_bytes().as_slice(), header.as_bytes(), &file[8 + old_len..]].concat())
}

fn header_len(file: &[u8]) -> usize {
    usize::try_from(u64::from_le_bytes(*file.first_chunk().unwrap())).unwrap()
}

/// Where the bytes of a tensor stand in the file.
fn place(file: &[u8], name: &str) -> Range<usize> {
    let (header_len, header) = SafeTensors::read_metadata(file).unwrap();
    let (start, end) = header.info(name).unwrap().data_offsets;
    8 + header_len + start..8 + header_len + end
}

fn example() -> Vec<u8> {
    encode(&arbitrary::example(1)).unwrap()
}

proptest! {
    #[test]
    fn parts_survive_being_written_and_read(parts in arbitrary::parts()) {
        prop_assert_eq!(decode(&encode(&parts).unwrap()), Ok(parts));
    }

    #[test]
    fn the_same_parts_give_the_same_bytes(parts in arbitrary::parts()) {
        prop_assert_eq!(encode(&parts.clone()), encode(&parts));
    }

    #[test]
    fn a_flipped_bit_is_refused(parts in arbitrary::parts(), at in any::<Index>(), bit in 0..8_u8) {
        let mut file = encode(&parts).unwrap();
        let at = at.index(file.len());
        file[at] ^= 1 << bit;
        prop_assert!(decode(&file).is_err());
    }

    #[test]
    fn a_cut_or_lengthened_file_is_refused(
        parts in arbitrary::parts(),
        keep in any::<Index>(),
        more in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        let file = encode(&parts).unwrap();
        prop_assert!(decode(&file[..keep.index(file.len())]).is_err());
        prop_assert!(decode(&[file, more].concat()).is_err());
    }

    /// Whatever is let through has passed the check, so a damaged file under a digest that matches
    /// cannot make scoring fail either.
    #[test]
    fn nothing_panics_on_damage_under_a_matching_digest(
        parts in arbitrary::parts(),
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let mut file = encode(&parts).unwrap();
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Ok(damaged) = decode(&seal(file)) {
            prop_assert_eq!(damaged.check(), Ok(()));
        }
    }

    #[test]
    fn nothing_panics_on_any_bytes(file in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(decode(&file).is_err());
    }
}

#[test]
fn every_single_flipped_bit_of_a_file_is_refused() {
    let mut file = example();
    for at in 0..file.len() {
        for bit in 0..8 {
            file[at] ^= 1 << bit;
            assert!(decode(&file).is_err(), "bit {bit} of byte {at}");
            file[at] ^= 1 << bit;
        }
    }
    assert!(decode(&file).is_ok());
}

#[test]
fn the_bytes_stand_where_the_documentation_says() {
    let file = example();
    assert_eq!(&file[8..35], br#"{"__metadata__":{"blake3":""#);
    assert_eq!(&file[99..130], br#"","format_version":"2","metadat"#);
    assert_eq!(header_len(&file) % 8, 0);
    let blanked = [&file[..35], &[b'0'; 64], &file[99..]].concat();
    assert_eq!(file[35..99], *blake3::hash(&blanked).to_hex().as_bytes());
    let squares = place(&file, "squares");
    assert_eq!(file[squares], [0.5_f32.to_le_bytes(), 0.5_f32.to_le_bytes()].concat());
}

#[test]
fn every_tensor_is_aligned_to_its_numbers() {
    let file = encode(&arbitrary::example(2)).unwrap();
    for (name, info) in tensors::layout(&arbitrary::example(2)) {
        assert_eq!(place(&file, name).start % (info.dtype.bitsize() / 8), 0, "{name}");
    }
}

#[test]
fn swapped_tensors_are_refused() {
    let mut file = example();
    let (masses, squares) = (place(&file, "masses"), place(&file, "squares"));
    let first = file[masses.clone()].to_vec();
    file.copy_within(squares.clone(), masses.start);
    file[squares].copy_from_slice(&first);
    assert_eq!(decode(&file), Err(FormatError::Digest));
}

#[test]
fn headers_that_readers_could_understand_differently_are_refused() {
    let file = example();
    let twice = r#""format_version":"2","format_version":"2""#;
    let hashes = r#""hashes":{"dtype":"U64","shape":[2],"data_offsets":[96,112]}"#;
    assert!(decode(&with_header(&file, str::to_owned)).is_ok(), "the helper changes nothing");
    for (what, from, to) in [
        ("a key twice", r#""format_version":"2""#, twice),
        ("a tensor twice", hashes, &format!("{hashes},{hashes}")),
        (
            "an empty tensor more",
            hashes,
            &format!(
                "{hashes},{}",
                hashes.replace("hashes", "x").replace("[2]", "[0]").replace("[96,112]", "[96,96]")
            ),
        ),
        ("a string more", r#""format_version""#, r#""a":"b","format_version""#),
        (
            "another shape",
            r#""shape":[2],"data_offsets":[96,"#,
            r#""shape":[1,2],"data_offsets":[96,"#,
        ),
        ("a space", "},\"hashes\"", "}, \"hashes\""),
        ("an escaped letter", "\"hashes\"", "\"\\u0068ashes\""),
    ] {
        let changed = with_header(&file, |header| header.replacen(from, to, 1));
        assert_ne!(changed, file, "{what}");
        assert!(matches!(decode(&changed), Err(FormatError::Container(_))), "{what}");
    }
    let padded = with_header(&file, |header| format!("{header}        "));
    assert!(matches!(decode(&padded), Err(FormatError::Container(_))), "padding");
}

#[test]
fn a_newer_format_is_named_and_refused() {
    let file = with_header(&example(), |h| {
        h.replace(r#""format_version":"2""#, r#""format_version":"3""#)
    });
    let wanted = FormatError::Version { found: "3".to_owned(), supported: FORMAT_VERSION };
    assert_eq!(decode(&file), Err(wanted));
}

#[test]
fn a_model_is_written_in_the_lowest_version_that_has_its_views() {
    let with_lead = arbitrary::example(1);
    let mut without = with_lead.clone();
    without.metadata.settings.views.retain(|chosen| chosen.view != View::Lead);
    without.background.truncate(5 * 2);
    without.background.resize(6 * 2, 0.0);
    for (parts, version, n_numbers) in [(with_lead, 2, 6 * 2), (without, 1, 5 * 2)] {
        let file = encode(&parts).unwrap();
        let text = format!(r#""format_version":"{version}""#);
        assert!(file.windows(text.len()).any(|bytes| bytes == text.as_bytes()));
        assert_eq!(place(&file, "background").len(), 8 * n_numbers);
        assert_eq!(decode(&file), Ok(parts));
        let other = format!(r#""format_version":"{}""#, 3 - version);
        let relabelled = with_header(&file, |header| header.replace(&text, &other));
        assert!(decode(&relabelled).is_err(), "version {version} under the other's name");
    }
}

#[test]
fn a_missing_or_mistyped_tensor_is_named() {
    let renamed = with_header(&example(), |h| h.replace("\"masses\"", "\"masse\""));
    let name = "masses".to_owned();
    let wanted = FormatError::Tensor { name: name.clone(), problem: "is missing".to_owned() };
    assert_eq!(decode(&renamed), Err(wanted));
    let retyped = with_header(&example(), |h| {
        h.replace(r#""masses":{"dtype":"F32""#, r#""masses":{"dtype":"I32""#)
    });
    let problem = "has type I32, expected F32".to_owned();
    assert_eq!(decode(&retyped), Err(FormatError::Tensor { name, problem }));
}

#[test]
fn a_number_that_is_not_finite_is_refused_under_a_matching_digest() {
    let mut file = example();
    let start = place(&file, "masses").start;
    file[start..start + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(matches!(decode(&seal(file)), Err(FormatError::Parts(_))));
}

#[test]
fn token_ends_that_cut_a_character_are_refused() {
    let mut file = example();
    // The second token is "é", two bytes; its end moves into it.
    let second = place(&file, "vocabulary_ends").start + 8;
    file[second] -= 1;
    let decoded = decode(&seal(file));
    assert!(
        matches!(&decoded, Err(FormatError::Tensor { name, .. }) if name == "vocabulary_ends"),
        "{decoded:?}"
    );
}

#[test]
fn metadata_that_json_cannot_hold_is_refused_when_written() {
    let mut parts = arbitrary::example(1);
    parts.metadata.evaluation.log_loss = f64::INFINITY;
    assert!(matches!(encode(&parts), Err(FormatError::Metadata(_))));
}

#[test]
fn invalid_parts_are_refused_when_written() {
    let mut parts = arbitrary::example(1);
    parts.masses.pop();
    assert!(matches!(encode(&parts), Err(FormatError::Parts(_))));
}

#[test]
fn more_header_than_allowed_is_refused_before_it_is_read() {
    let mut parts = arbitrary::example(1);
    parts.metadata.evaluation.data_digest = "x".repeat(MAX_HEADER_BYTES);
    assert!(matches!(encode(&parts), Err(FormatError::Container(_))));
    for len in [MAX_HEADER_BYTES as u64 + 8, u64::MAX] {
        let claimed = [len.to_le_bytes().as_slice(), &[b' '; 16]].concat();
        assert_eq!(decode(&claimed), Err(header_too_long(len)));
    }
}

use proptest::{prelude::*, sample::Index};

use super::*;
use crate::model::{Options, Scorer, arbitrary};

/// Gives a file that was tampered with a digest that matches.
fn seal(mut file: Vec<u8>) -> Vec<u8> {
    let digest = digest(&file).unwrap();
    file[DIGEST].copy_from_slice(digest.as_bytes());
    file
}

/// Replaces the header by another, under a digest that matches.
fn with_header(file: &[u8], change: impl Fn(&str) -> String) -> Vec<u8> {
    let old_len = header_len(file);
    let mut header = change(std::str::from_utf8(&file[8..8 + old_len]).unwrap().trim_end());
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
    encode(&arbitrary::model(1)).unwrap()
}

/// A file of version 2, of which the tests below of what stands in a header can do with a short one.
const SHORT: &[u8] = include_bytes!("../../../tests/format/v2/lead.safetensors");

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_model_survives_being_written_and_read(model in arbitrary::models()) {
        let file = encode(&model).unwrap();
        let read = decode(&file).unwrap();
        prop_assert_eq!(encode(&read), Ok(file));
        prop_assert_eq!(read, model);
    }

    #[test]
    fn the_same_parts_give_the_same_bytes(parts in arbitrary::parts()) {
        let [one, other] = [(), ()].map(|()| encode(&Model::try_new(&parts).unwrap()));
        prop_assert_eq!(one, other);
    }

    #[test]
    fn a_flipped_bit_is_refused(model in arbitrary::models(), at in any::<Index>(), bit in 0..8_u8) {
        let mut file = encode(&model).unwrap();
        let at = at.index(file.len());
        file[at] ^= 1 << bit;
        prop_assert!(decode(&file).is_err());
    }

    #[test]
    fn a_cut_or_lengthened_file_is_refused(
        model in arbitrary::models(),
        keep in any::<Index>(),
        more in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        let file = encode(&model).unwrap();
        prop_assert!(decode(&file[..keep.index(file.len())]).is_err());
        prop_assert!(decode(&[file, more].concat()).is_err());
    }

    /// Whatever is let through has passed the check, so a damaged file under a digest that matches
    /// cannot make scoring fail either.
    #[test]
    fn nothing_panics_on_damage_under_a_matching_digest(
        model in arbitrary::models(),
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let mut file = encode(&model).unwrap();
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Ok(damaged) = decode(&seal(file)) {
            let options = Options { explain: true, ..Options::default() };
            let mut scorer = Scorer::default();
            let answer = scorer.classify(&damaged, "i é 政府 nobody", &options);
            prop_assert!(answer.probabilities.iter().all(|p| p.is_finite()));
        }
    }

    #[test]
    fn nothing_panics_on_any_bytes(file in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(decode(&file).is_err());
    }
}

#[test]
fn every_single_flipped_bit_of_a_file_is_refused() {
    for (mut file, step) in [(SHORT.to_vec(), 1), (example(), 211)] {
        let end = header_end(&file).unwrap();
        for at in (0..end).chain((end..file.len()).step_by(step)) {
            for bit in 0..8 {
                file[at] ^= 1 << bit;
                assert!(decode(&file).is_err(), "bit {bit} of byte {at}");
                file[at] ^= 1 << bit;
            }
        }
        assert!(decode(&file).is_ok());
    }
}

#[test]
fn the_bytes_stand_where_the_documentation_says() {
    let file = example();
    assert_eq!(&file[8..35], br#"{"__metadata__":{"blake3":""#);
    assert_eq!(&file[99..130], br#"","format_version":"3","metadat"#);
    assert_eq!(header_len(&file) % 8, 0);
    let blanked = [&file[..35], &[b'0'; 64], &file[99..]].concat();
    assert_eq!(file[35..99], *blake3::hash(&blanked).to_hex().as_bytes());
    let offsets = place(&file, "offsets");
    assert_eq!(file[offsets], [(-1.0_f64).to_le_bytes(), (-2.0_f64).to_le_bytes()].concat());
    let header = std::str::from_utf8(&file[8..8 + header_len(&file)]).unwrap();
    assert!(header.contains(r#"","n_features":"2"},"background":{"dtype":"F64","shape":[6,2],"#));
}

#[test]
fn every_tensor_is_aligned_to_its_numbers() {
    let file = example();
    let (_, header) = SafeTensors::read_metadata(&file).unwrap();
    for (name, info) in header.tensors() {
        assert_eq!(place(&file, &name).start % (info.dtype.bitsize() / 8), 0, "{name}");
    }
}

#[test]
fn swapped_tensors_are_refused() {
    let mut file = example();
    let (hashes, keys) = (place(&file, "tokens.hashes"), place(&file, "tokens.keys"));
    let first = file[hashes.clone()].to_vec();
    file.copy_within(keys.clone(), hashes.start);
    file[keys].copy_from_slice(&first);
    assert_eq!(decode(&file).unwrap_err(), FormatError::Digest);
    let FormatError::Parts(problem) = decode(&seal(file)).unwrap_err() else { panic!("read") };
    assert_eq!(problem.to_string(), "tokens.keys: not found where it stands");
}

#[test]
fn headers_that_readers_could_understand_differently_are_refused() {
    let file = example();
    let twice = r#""format_version":"3","format_version":"3""#;
    let offsets = r#""offsets":{"dtype":"F64","shape":[2],"data_offsets":[16496,16512]}"#;
    let empty = |name: &str, at: &str| {
        offsets
            .replace("offsets\":{", &format!("{name}\":{{"))
            .replace("[2]", "[0]")
            .replace("[16496,16512]", at)
    };
    assert!(decode(&with_header(&file, str::to_owned)).is_ok(), "the helper changes nothing");
    for (what, from, to) in [
        ("a key twice", r#""format_version":"3""#, twice),
        ("a tensor twice", offsets, &format!("{offsets},{offsets}")),
        (
            "an empty tensor out of order",
            offsets,
            &format!("{offsets},{}", empty("a", "[16512,16512]")),
        ),
        ("a string more", r#""format_version""#, r#""a":"b","format_version""#),
        ("a string less", r#","n_features":"2""#, ""),
        ("a number with a sign", r#""n_features":"2""#, r#""n_features":"+2""#),
        ("a space", "},\"offsets\"", "}, \"offsets\""),
        ("an escaped letter", "\"offsets\"", "\"\\u006fffsets\""),
    ] {
        let changed = with_header(&file, |header| header.replacen(from, to, 1));
        assert!(changed != file, "{what}");
        assert!(matches!(decode(&changed), Err(FormatError::Container(_))), "{what}");
    }
    let padded = with_header(&file, |header| format!("{header}        "));
    assert!(matches!(decode(&padded), Err(FormatError::Container(_))), "padding");
}

/// What is said of a header that is changed so.
fn said_of(file: &[u8], from: &str, to: &str) -> String {
    let changed = with_header(file, |header| header.replacen(from, to, 1));
    assert!(changed != file, "{from}");
    decode(&changed).expect_err("changed").to_string()
}

#[test]
fn tensors_that_do_not_belong_there_are_named() {
    let offsets = r#""offsets":{"dtype":"F64","shape":[2],"data_offsets":[16496,16512]}"#;
    for (from, to, wanted) in [
        ("\"offsets\"", "\"offset\"", "offsets: is missing"),
        (
            r#""offsets":{"dtype":"F64""#,
            r#""offsets":{"dtype":"U64""#,
            "offsets: has another type than F64",
        ),
        (offsets, &offsets.replace("[2]", "[1,2]"), "offsets: has shape [1, 2], expected [2]"),
        (
            offsets,
            &format!(
                "{offsets},{}",
                offsets
                    .replace("offsets\":{", "p\":{")
                    .replace("[2]", "[0]")
                    .replace("[16496,16512]", "[16512,16512]")
            ),
            "p: does not belong there",
        ),
        (r#""n_features":"2""#, r#""n_features":"12""#, "n_features: 12, there are 2 to 11"),
    ] {
        assert_eq!(said_of(&example(), from, to), wanted);
    }
}

#[test]
fn a_newer_format_is_named_and_refused() {
    let file = with_header(&example(), |h| {
        h.replace(r#""format_version":"3""#, r#""format_version":"4""#)
    });
    let wanted = FormatError::Version { found: "4".to_owned(), supported: FORMAT_VERSION };
    assert_eq!(decode(&file).unwrap_err(), wanted);
}

#[test]
fn a_version_under_the_name_of_another_is_refused() {
    for version in ["1", "3"] {
        let relabelled = with_header(SHORT, |header| {
            header.replace(r#""format_version":"2""#, &format!(r#""format_version":"{version}""#))
        });
        assert!(decode(&relabelled).is_err(), "version 2 under the name of {version}");
    }
}

#[test]
fn what_is_inconsistent_in_a_file_of_parts_is_refused_under_a_matching_digest() {
    let mut file = SHORT.to_vec();
    let start = place(&file, "masses").start;
    file[start..start + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let problem = decode(&seal(file)).unwrap_err().to_string();
    assert_eq!(problem, "masses: a value is not finite or out of range");
    let mut file = SHORT.to_vec();
    // A token ends before it begins.
    let second = place(&file, "vocabulary_ends").start + 8;
    file[second..second + 8].fill(0);
    let problem = decode(&seal(file)).unwrap_err().to_string();
    assert_eq!(problem, "vocabulary_ends: does not cut the vocabulary into tokens");
}

#[test]
fn metadata_that_json_cannot_hold_is_refused_when_written() {
    assert!(matches!(encode(&arbitrary::unstorable()), Err(FormatError::Metadata(_))));
}

#[test]
fn more_header_than_allowed_is_refused_before_it_is_read() {
    let mut parts = arbitrary::example(1);
    parts.metadata.evaluation.data_digest = "x".repeat(MAX_HEADER_BYTES);
    let model = Model::try_new(&parts).unwrap();
    assert!(matches!(encode(&model), Err(FormatError::Container(_))));
    for len in [MAX_HEADER_BYTES as u64 + 8, u64::MAX] {
        let claimed = [len.to_le_bytes().as_slice(), &[b' '; 16]].concat();
        assert_eq!(decode(&claimed), Err(header_too_long(len)));
    }
}

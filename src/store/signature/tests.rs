use super::*;

/// The example of RFC 8410, section 10, as openssl writes it.
const SECRET: &str = include_str!("../../../tests/keys/secret.pem");
const PUBLIC: &str = include_str!("../../../tests/keys/public.pem");

fn name(text: &str) -> ModelName {
    text.parse().unwrap()
}

fn signer() -> Signer {
    Signer::from_pem(SECRET).unwrap()
}

fn other() -> Signer {
    Signer(SigningKey::from_bytes(&[7; 32]))
}

fn trusted(signers: &[Signer]) -> TrustedKeys {
    TrustedKeys(signers.iter().map(Signer::key).collect())
}

#[test]
fn keys_of_openssl_are_read_and_belong_together() {
    let keys = TrustedKeys::from_pem(PUBLIC).unwrap();
    assert_eq!(keys, trusted(&[signer()]));
    let shown = signer().key().to_string();
    assert_eq!(shown, "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1");
    let debug = format!("{:?}", signer());
    assert_eq!(debug, format!("Signer({shown})"), "no secret is shown");
}

#[test]
fn several_trusted_keys_stand_in_one_file_with_text_around_them() {
    let text = format!("# the old one\n{PUBLIC}\n# the new one\n{PUBLIC}\n# that is all\n");
    assert_eq!(TrustedKeys::from_pem(&text).unwrap().0.len(), 2);
}

#[test]
fn what_is_no_key_is_refused() {
    let rsa_like = PUBLIC.replace("MCowBQYDK2Vw", "MCowBQYDK2Vx");
    let cut_off = format!("{PUBLIC}-----BEGIN PUBLIC KEY-----\nMCow");
    // The neutral element: a signature can be made that fits it and any message.
    let weak = PUBLIC
        .replace("Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=", &format!("AQ{}=", "A".repeat(41)));
    for bad in ["", "x", SECRET, &rsa_like, &cut_off, &weak] {
        assert_eq!(TrustedKeys::from_pem(bad), Err(KeyError::Public), "{bad}");
    }
    for bad in ["", "x", PUBLIC] {
        assert_eq!(Signer::from_pem(bad).unwrap_err(), KeyError::Secret, "{bad}");
    }
}

#[test]
fn a_signer_that_is_not_trusted_is_refused() {
    let wrong = Signatures::try_new(Some(trusted(&[other()])), Some(signer()));
    assert_eq!(wrong.unwrap_err(), KeyError::SignerNotTrusted(signer().key()));
    let keys = Some(trusted(&[other(), signer()]));
    assert!(Signatures::try_new(keys.clone(), Some(signer())).unwrap().accept_own());
    assert!(!Signatures::try_new(keys, None).unwrap().accept_own());
    assert!(Signatures::default().accept_own());
}

#[test]
fn a_signature_holds_for_one_file_under_one_name_and_number_by_one_key() {
    let (shop, stop) = (name("shop"), name("stop"));
    let subject = |name, version, file| Subject { name, version, file };
    let signature = signer().sign(subject(&shop, 12, b"model"));
    let keys = trusted(&[other(), signer()]);
    assert_eq!(keys.check(&signature, subject(&shop, 12, b"model")), Ok(()));
    let wrong = Err(SignatureError::Wrong(signer().key()));
    for another in [
        subject(&stop, 12, b"model"),
        subject(&shop, 1, b"model"),
        subject(&shop, 12, b"modem"),
        subject(&shop, 12, b""),
    ] {
        assert_eq!(keys.check(&signature, another), wrong, "{another:?}");
    }
    let not_trusted = Err(SignatureError::NotTrusted(signer().key()));
    assert_eq!(trusted(&[other()]).check(&signature, subject(&shop, 12, b"model")), not_trusted);
    // Naming a trusted key does not make it one.
    let forged = Signature { key: other().key(), ..signature };
    let wrong = Err(SignatureError::Wrong(other().key()));
    assert_eq!(keys.check(&forged, subject(&shop, 12, b"model")), wrong);
}

#[test]
fn every_bit_of_a_signature_counts() {
    let shop = name("shop");
    let subject = Subject { name: &shop, version: 1, file: b"model" };
    let line = signer().sign(subject).to_line().into_bytes();
    let keys = trusted(&[signer()]);
    let check = |line: &[u8]| Signature::parse(line).and_then(|s| keys.check(&s, subject));
    assert_eq!(check(&line), Ok(()));
    for bit in 0..8 * line.len() {
        let mut line = line.clone();
        line[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&line).is_err(), "bit {bit}");
    }
    for end in 0..line.len() {
        assert_eq!(check(&line[..end]), Err(SignatureError::Malformed), "{end} bytes");
    }
    assert_eq!(check(&[&line[..], b"\n"].concat()), Err(SignatureError::Malformed));
}

#[test]
fn the_signed_text_is_as_documented() {
    let shop = name("shop");
    let subject = Subject { name: &shop, version: 3, file: b"" };
    let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    assert_eq!(subject.text(), format!("dictum model signature 1\nshop@3\n{empty}\n"));
    let line = signer().sign(subject).to_line();
    assert_eq!(line.len(), 202);
    assert!(line.len() as u64 <= MAX_SIGNATURE_BYTES);
}

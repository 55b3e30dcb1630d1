//! Signatures of versions: who vouches for a model file, and whose word is taken.
//!
//! A signature is Ed25519 (RFC 8032) and stands beside the model file, which does not change when it
//! is signed. Keys are PEM files as `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout`
//! write them.
//!
//! # The bytes
//!
//! What is signed is this text, without the backticks, each of the three lines ended by one byte `0a`:
//!
//! | line | content |
//! |---|---|
//! | 1 | `dictum model signature 1`, so that no signature made for another purpose fits |
//! | 2 | `NAME@VERSION`, so that a signed file does not pass under another name or number |
//! | 3 | BLAKE3 of the model file as it is, 64 lower-case hexadecimal digits |
//!
//! The file `signature` in the folder of the version is one line, ended by `0a`: `ed25519`, the public
//! key as 64 and the signature as 128 lower-case hexadecimal digits, with one space between them. The
//! key in it says which of the trusted keys to check with, and gives no trust by itself.

use std::fmt::{self, Write};

use ed25519_dalek::{
    Signer as _, SigningKey, VerifyingKey,
    pkcs8::{DecodePrivateKey, DecodePublicKey},
};

use super::ModelName;

/// What the first line of a signed text says.
const PURPOSE: &str = "dictum model signature 1";
/// What the line in the file begins with.
const ALGORITHM: &str = "ed25519";
/// Longest file with a signature, in bytes; it has 202.
pub(super) const MAX_SIGNATURE_BYTES: u64 = 256;

/// Whose signatures are asked for, and who signs what is published.
#[derive(Debug, Clone, Default)]
pub struct Signatures {
    trusted: Option<TrustedKeys>,
    signer: Option<Signer>,
}

/// Public keys whose signatures are taken: several, so that one can follow another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKeys(Vec<KeyId>);

/// A secret key that signs versions.
#[derive(Clone)]
pub struct Signer(SigningKey);

/// A public key, shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; 32]);

/// A signature and the key that is said to have made it. Nothing is known yet of whether that is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// The key.
    pub key: KeyId,
    bytes: [u8; 64],
}

/// Why a text gives no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a secret key.
    #[error("not an Ed25519 secret key as `openssl genpkey -algorithm ed25519` writes it")]
    Secret,
    /// Not public keys.
    #[error("not one or more Ed25519 public keys as `openssl pkey -pubout` writes them")]
    Public,
    /// What is signed here would be refused here.
    #[error("the public key of the signing key, {0}, is not among the trusted keys")]
    SignerNotTrusted(KeyId),
}

/// Why a version is refused for its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is none.
    #[error("it is not signed")]
    Missing,
    /// The file that should hold it holds something else.
    #[error("its signature is not written as signatures are")]
    Malformed,
    /// It is said to be of a key that is not trusted.
    #[error("it is signed by the key {0}, which is not trusted")]
    NotTrusted(KeyId),
    /// The key did not sign this.
    #[error("it is not what the key {0} signed: its file, its name or its number is another")]
    Wrong(KeyId),
}

/// What a signature is about: a model file under a name and a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) name: &'a ModelName,
    pub(super) version: u64,
    pub(super) file: &'a [u8],
}

impl Signatures {
    /// Takes only versions that one of the trusted keys signed, if there are such keys, and signs what is
    /// published, if there is a signer.
    ///
    /// # Errors
    ///
    /// [`KeyError::SignerNotTrusted`] if what is published here would be refused here.
    pub fn try_new(trusted: Option<TrustedKeys>, signer: Option<Signer>) -> Result<Self, KeyError> {
        if let (Some(trusted), Some(signer)) = (&trusted, &signer)
            && !trusted.0.contains(&signer.key())
        {
            return Err(KeyError::SignerNotTrusted(signer.key()));
        }
        Ok(Self { trusted, signer })
    }

    /// Whether a version that is published here may be loaded here.
    #[must_use]
    pub fn accept_own(&self) -> bool {
        self.trusted.is_none() || self.signer.is_some()
    }

    /// Returns what signs new versions.
    pub(super) fn signer(&self) -> Option<&Signer> {
        self.signer.as_ref()
    }

    /// Returns the keys of which one must have signed a version, if that is so.
    pub(super) fn trusted(&self) -> Option<&TrustedKeys> {
        self.trusted.as_ref()
    }
}

impl TrustedKeys {
    /// Reads public keys from PEM text: one behind the other, with any text around them.
    ///
    /// # Errors
    ///
    /// [`KeyError::Public`] if one of them is none, or there is none.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        const END: &str = "-----END PUBLIC KEY-----";
        let mut keys = Vec::new();
        for block in text.split_inclusive(END) {
            let Some(begin) = block.find("-----BEGIN") else { continue };
            let pem = block.get(begin..).unwrap_or_default();
            let key = VerifyingKey::from_public_key_pem(pem).map_err(|_no_key| KeyError::Public)?;
            if key.is_weak() {
                return Err(KeyError::Public);
            }
            keys.push(KeyId(key.to_bytes()));
        }
        if keys.is_empty() { Err(KeyError::Public) } else { Ok(Self(keys)) }
    }

    /// Checks that one of the keys signed this.
    pub(super) fn check(
        &self,
        signature: &Signature,
        subject: Subject<'_>,
    ) -> Result<(), SignatureError> {
        if !self.0.contains(&signature.key) {
            return Err(SignatureError::NotTrusted(signature.key));
        }
        signature.check(subject)
    }
}

impl Signer {
    /// Reads a secret key from PEM text.
    ///
    /// # Errors
    ///
    /// [`KeyError::Secret`] if it is none. The text is in no message.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        SigningKey::from_pkcs8_pem(text).map(Self).map_err(|_no_key| KeyError::Secret)
    }

    /// The public key that belongs to it.
    #[must_use]
    pub fn key(&self) -> KeyId {
        KeyId(self.0.verifying_key().to_bytes())
    }

    /// Signs a model file under its name and number.
    pub(super) fn sign(&self, subject: Subject<'_>) -> Signature {
        Signature { key: self.key(), bytes: self.0.sign(subject.text().as_bytes()).to_bytes() }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.key())
    }
}

impl Signature {
    /// Reads the content of a file with a signature.
    pub(super) fn parse(content: &[u8]) -> Result<Self, SignatureError> {
        let text = std::str::from_utf8(content).map_err(|_no_text| SignatureError::Malformed)?;
        let parts = text.strip_suffix('\n').map(|line| line.split(' ').collect::<Vec<_>>());
        match parts.as_deref() {
            Some([ALGORITHM, key, bytes]) => {
                let (key, bytes) = (digits(key), digits(bytes));
                match (key, bytes) {
                    (Some(key), Some(bytes)) => Ok(Self { key: KeyId(key), bytes }),
                    _ => Err(SignatureError::Malformed),
                }
            }
            _ => Err(SignatureError::Malformed),
        }
    }

    /// Returns the content of a file with this signature.
    pub(super) fn to_line(self) -> String {
        format!("{ALGORITHM} {} {}\n", self.key, Hex(&self.bytes))
    }

    /// Checks that its key signed this, whoever that is.
    pub(super) fn check(&self, subject: Subject<'_>) -> Result<(), SignatureError> {
        let wrong = SignatureError::Wrong(self.key);
        let key = VerifyingKey::from_bytes(&self.key.0).map_err(|_no_point| wrong)?;
        let signature = ed25519_dalek::Signature::from_bytes(&self.bytes);
        // Strict: a signature has one form, and keys that fit any message are refused.
        key.verify_strict(subject.text().as_bytes(), &signature).map_err(|_other| wrong)
    }
}

impl Subject<'_> {
    fn text(&self) -> String {
        let Self { name, version, file } = self;
        format!("{PURPOSE}\n{name}@{version}\n{}\n", blake3::hash(file).to_hex())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hex(&self.0), f)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hex(&self.0), f)
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Reads lower-case hexadecimal digits, exactly as many as the bytes need.
fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    // One way to write a number: no capitals, no signs, nothing more and nothing less.
    let mut written = String::new();
    write!(written, "{}", Hex(&bytes)).ok()?;
    (written == text).then_some(bytes)
}

#[cfg(test)]
mod tests;

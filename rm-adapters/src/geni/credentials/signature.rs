//! One XML signature over one element that is named by its `xml:id`.

use aws_lc_rs::digest::{self, Algorithm};
use aws_lc_rs::signature::{self, VerificationAlgorithm};
use rm_core::Result;

use super::c14n::{Form, canonical};
use super::certificate::{Certificate, bytes_of};
use super::refusal::invalid;
use crate::geni::xml::{Element, XML};

/// The namespace of XML signatures.
pub(super) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
/// Certificates that a signature may bring.
const MOST: usize = 8;

/// Who made a signature, and the certificates that came with it.
#[derive(Debug)]
pub(super) struct Signer {
    pub(super) certificate: Certificate,
    pub(super) given: Vec<Certificate>,
}

/// The id of the element that a signature is about. This is not proved before
/// [`check`] has been.
pub(super) fn refers_to(signature: &Element) -> Result<&str> {
    let info = one(signature, DS, "SignedInfo")?;
    let reference = one(info, DS, "Reference")?;
    reference
        .attribute("URI")
        .and_then(|uri| uri.strip_prefix('#'))
        .filter(|id| !id.is_empty())
        .ok_or_else(|| invalid("a signature in it is not about an element of it"))
}

/// Checks that a signature covers exactly this element.
///
/// `outer` are the elements that the signature is in, `element_outer` those
/// that the signed element is in, the outermost first in both.
///
/// # Errors
///
/// Where it does not, or is made in a way that is not accepted.
pub(super) fn check(
    signature: &Element,
    outer: &[&Element],
    element: &Element,
    element_outer: &[&Element],
) -> Result<Signer> {
    if !signature.name.is(DS, "Signature") {
        return Err(invalid(
            "there is something among the signatures that is none",
        ));
    }
    only(
        signature,
        &["SignedInfo", "SignatureValue", "KeyInfo", "Object"],
    )?;
    let info = one(signature, DS, "SignedInfo")?;
    only(
        info,
        &["CanonicalizationMethod", "SignatureMethod", "Reference"],
    )?;
    let reference = one(info, DS, "Reference")?;
    only(reference, &["Transforms", "DigestMethod", "DigestValue"])?;
    if Some(refers_to(signature)?) != element.attribute_of(XML, "id") {
        return Err(invalid("a signature in it is about another element"));
    }
    let form = transforms(reference)?;
    let digested = digest::digest(
        digest_of(method(reference, "DigestMethod")?)?,
        &canonical(element, element_outer, form),
    );
    let claimed = bytes_of(&text_of(one(reference, DS, "DigestValue")?)?)?;
    if aws_lc_rs::constant_time::verify_slices_are_equal(digested.as_ref(), &claimed).is_err() {
        return Err(invalid("it was changed after it was signed"));
    }
    let algorithm = signature_of(method(info, "SignatureMethod")?)?;
    let form = form_of(method(info, "CanonicalizationMethod")?)
        .ok_or_else(|| invalid("a signature in it is written in a form that is not accepted"))?;
    if one(info, DS, "CanonicalizationMethod")?
        .elements()
        .next()
        .is_some()
    {
        return Err(invalid(
            "a signature in it is written in a form that is not accepted",
        ));
    }
    let mut around: Vec<&Element> = outer.to_vec();
    around.push(signature);
    let message = canonical(info, &around, form);
    let value = bytes_of(&text_of(one(signature, DS, "SignatureValue")?)?)?;
    let given = certificates(one(signature, DS, "KeyInfo")?)?;
    // Which of the certificates is the signer's is not said, but proved.
    let made = |c: &&Certificate| c.has_rsa_key() && c.made(algorithm, &message, &value);
    match given.iter().find(made) {
        Some(signer) => Ok(Signer {
            certificate: signer.clone(),
            given,
        }),
        None => Err(invalid(
            "none of the certificates with a signature has made it",
        )),
    }
}

/// The certificates of a signature; whatever else it says of keys is nothing
/// that anybody vouches for.
fn certificates(info: &Element) -> Result<Vec<Certificate>> {
    let mut found = Vec::new();
    for data in info.elements().filter(|e| e.name.is(DS, "X509Data")) {
        for element in data.elements().filter(|e| e.name.is(DS, "X509Certificate")) {
            if found.len() >= MOST {
                return Err(invalid(format!(
                    "more than {MOST} certificates with a signature"
                )));
            }
            found.push(Certificate::from_base64(&text_of(element)?)?);
        }
    }
    Ok(found)
}

/// In which form the element was digested.
fn transforms(reference: &Element) -> Result<Form> {
    let strange =
        || invalid("a signature in it transforms what it signs in a way that is not accepted");
    let mut form = None;
    let mut transforms = reference.elements().filter(|e| e.name.is(DS, "Transforms"));
    let Some(list) = transforms.next() else {
        return Ok(Form::Inclusive);
    };
    if transforms.next().is_some() {
        return Err(strange());
    }
    for transform in list.elements() {
        if !transform.name.is(DS, "Transform") || transform.elements().next().is_some() {
            return Err(strange());
        }
        let name = transform.attribute("Algorithm").unwrap_or_default();
        // No signature is inside of what is signed, so there is none to leave out.
        if name == "http://www.w3.org/2000/09/xmldsig#enveloped-signature" && form.is_none() {
            continue;
        }
        if form.is_some() {
            return Err(strange());
        }
        form = Some(form_of(name).ok_or_else(strange)?);
    }
    Ok(form.unwrap_or(Form::Inclusive))
}

fn form_of(algorithm: &str) -> Option<Form> {
    match algorithm {
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315" => Some(Form::Inclusive),
        "http://www.w3.org/2001/10/xml-exc-c14n#" => Some(Form::Exclusive),
        _ => None,
    }
}

fn digest_of(algorithm: &str) -> Result<&'static Algorithm> {
    Ok(match algorithm {
        "http://www.w3.org/2000/09/xmldsig#sha1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "http://www.w3.org/2001/04/xmlenc#sha256" => &digest::SHA256,
        "http://www.w3.org/2001/04/xmldsig-more#sha384" => &digest::SHA384,
        "http://www.w3.org/2001/04/xmlenc#sha512" => &digest::SHA512,
        _ => {
            return Err(invalid(
                "a signature in it is of a digest that is not accepted",
            ));
        }
    })
}

/// SHA-1 is in all credentials of the reference implementation. What it no
/// longer withstands is somebody who chooses both of two texts. An owner does
/// choose a key that an authority signs; that it is accepted all the same is
/// custom, and the authority's own business to end.
fn signature_of(algorithm: &str) -> Result<&'static dyn VerificationAlgorithm> {
    Ok(match algorithm {
        "http://www.w3.org/2000/09/xmldsig#rsa-sha1" => {
            &signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY
        }
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256" => {
            &signature::RSA_PKCS1_2048_8192_SHA256
        }
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384" => {
            &signature::RSA_PKCS1_2048_8192_SHA384
        }
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512" => {
            &signature::RSA_PKCS1_2048_8192_SHA512
        }
        _ => {
            return Err(invalid(
                "a signature in it is made in a way that is not accepted",
            ));
        }
    })
}

fn method<'a>(element: &'a Element, local: &str) -> Result<&'a str> {
    Ok(one(element, DS, local)?
        .attribute("Algorithm")
        .unwrap_or_default())
}

/// The one element of this name.
pub(super) fn one<'a>(element: &'a Element, namespace: &str, local: &str) -> Result<&'a Element> {
    let mut found = element.elements().filter(|e| e.name.is(namespace, local));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(invalid(format!(
            "there is no <{local}> where one should be"
        ))),
        (Some(_), Some(_)) => Err(invalid(format!("there is more than one <{local}>"))),
    }
}

/// The text of an element that holds nothing else.
pub(super) fn text_of(element: &Element) -> Result<String> {
    if element.elements().next().is_some() {
        return Err(invalid(format!(
            "there is an element in <{}>",
            element.name.local
        )));
    }
    Ok(element.text().trim().to_owned())
}

fn only(element: &Element, known: &[&str]) -> Result<()> {
    match element
        .elements()
        .find(|e| !known.iter().any(|k| e.name.is(DS, k)))
    {
        None => Ok(()),
        Some(_) => Err(invalid(
            "there is something in a signature that does not belong there",
        )),
    }
}

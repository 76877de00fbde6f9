//! Problem details (RFC 9457) as a person reads them.

use serde_json::Value;

use crate::failure::Failure;

/// Title, detail, the single faults of a body, advice.
pub(super) fn read(problem: &Value) -> Option<Failure> {
    let text = |key: &str| problem[key].as_str().unwrap_or_default();
    let title = Some(text("title")).filter(|t| !t.is_empty())?;
    let mut detail = text("detail").to_owned();
    for fault in problem["errors"].as_array().into_iter().flatten() {
        let pointer = fault["pointer"].as_str().unwrap_or_default();
        let said = fault["detail"].as_str().unwrap_or_default();
        if !said.is_empty() && !detail.contains(said) {
            detail.push_str(&format!("\n  {pointer}: {said}"));
        }
    }
    Some(
        Failure::refused(title)
            .detail(detail)
            .advice(text("advice")),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn title_detail_and_advice_are_told() {
        let failure = read(&json!({
            "type": "about:blank", "title": "Not found", "status": 404,
            "detail": "there is no appliance \"hadop\"", "advice": "there are: hadoop",
        }))
        .unwrap();
        assert_eq!(
            failure.to_string(),
            "Not found: there is no appliance \"hadop\"\n  there are: hadoop"
        );
        assert_eq!(failure.code(), 1);
        assert!(read(&json!({"message": "x"})).is_none());
    }
}

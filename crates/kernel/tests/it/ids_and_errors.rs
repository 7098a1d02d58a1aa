use kernel::{Country, FAULTS_SHOWN_MAX, Fault, Faults, MeterId, OrganisationId, SubscriptionId};

#[test]
fn guids_are_read_in_any_case_and_written_in_one() {
    let id: SubscriptionId = "DA41BC5F-C52D-4464-8A8D-8C8DCC43503B".parse().unwrap();
    assert_eq!(id.to_string(), "da41bc5f-c52d-4464-8a8d-8c8dcc43503b");
    assert!("da41bc5f".parse::<SubscriptionId>().is_err());
}

#[test]
fn derived_ids_are_stable_and_differ_by_kind() {
    let organisation = OrganisationId::derived("nordsky");
    assert_eq!(organisation, OrganisationId::derived("nordsky"));
    assert_ne!(organisation.uuid(), SubscriptionId::derived("nordsky").uuid());
}

#[test]
fn meters_may_have_plain_names() {
    assert_eq!("1Core".parse::<MeterId>().unwrap().as_str(), "1core");
    assert!(" ".parse::<MeterId>().is_err());
    assert!("m".repeat(65).parse::<MeterId>().is_err());
}

#[test]
fn countries_are_those_of_the_standard() {
    assert_eq!("NO".parse::<Country>().unwrap().code(), "NO");
    for text in ["no", "XX", "NOR", ""] {
        assert!(text.parse::<Country>().is_err(), "{text}");
    }
}

#[test]
fn faults_name_place_value_and_reason_and_are_counted_beyond_the_limit() {
    let mut faults = Faults::default();
    for line in 0..FAULTS_SHOWN_MAX as u64 + 5 {
        faults.push(Fault {
            file: "usage.csv".into(),
            line: Some(line + 2),
            field: Some("quantity".into()),
            value: Some("abc".into()),
            reason: "is not a decimal number".into(),
        });
    }
    let message = faults.into_result("usage.csv").unwrap_err().to_string();
    assert!(message.contains("\n  usage.csv:2: quantity \"abc\" is not a decimal number\n"));
    assert!(message.contains("nothing of it was taken"));
    assert!(message.ends_with("and 5 more"));
}

"""The commonest passwords, of those that our other rules let through or that people make longer: the head of the lists
that guessers use, as letters and digits. No list of leaked ones is shipped: it would have millions."""

COMMONEST = frozenset({
    "0123456789", "0987654321", "11223344", "112233445566", "123123123", "123321", "1234567890", "123456789012",
    "12345678910", "147258369", "1q2w3e4r", "1q2w3e4r5t", "1q2w3e4r5t6y", "1qaz2wsx", "1qaz2wsx3edc",
    "1qaz2wsx3edc4rfv", "987654321", "a1b2c3d4e5f6", "abc123", "abcd1234", "abcdef", "abcdefgh", "abcdefghij",
    "abcdefghijkl", "administrateur", "administrator", "asdfghjkl", "asdfghjklzxcvbnm", "autumn", "azertyuiop",
    "baseball", "basketball", "batman", "changeme", "changemenow", "changethis", "computer", "contrasena",
    "correcthorsebatterystaple", "december", "default", "doctor", "dragon", "february", "football", "hospital",
    "iloveyou", "iloveyouforever", "internet", "january", "krankenhaus", "letmein", "letmeinnow",
    "letmeinplease", "master", "medicine", "monkey", "motdepasse", "mypassword", "november", "october",
    "p4ssw0rd", "pa55word", "passw0rd", "passwort", "passwort1", "princess", "q1w2e3r4t5y6", "qazwsxedc",
    "qazwsxedcrfv", "qwerty", "qwertyuiop", "qwertyuiopasdfghjkl", "qwertz", "qwertzuiop", "radiologie",
    "radiologist", "radiology", "secret", "september", "spiderman", "spring", "starwars", "summer", "sunshine",
    "superman", "temporary", "temporary1", "thisismypassword", "topsecret", "trustno1", "wachtwoord", "welcome",
    "welcomeback", "whatever", "winter", "zaq12wsx", "zaq1xsw2cde3", "zxcvbnm",
})  # fmt: skip

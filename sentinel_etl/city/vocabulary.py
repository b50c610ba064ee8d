"""The words of the sample city: names, remarks and codes. All of it is invented.

Texts come in the scripts that officers of such a city type in, with the characters that break
careless loaders among them: quotes, backslashes, tabs, newlines, emoji.
"""

from __future__ import annotations

__all__ = [
    "DWELL",
    "EMERGENCY_CATEGORIES",
    "ENTER",
    "EXIT",
    "FEEDBACK_TEXTS",
    "GEOFENCE_EVENT_TYPES",
    "HOTSPOT_NAMES",
    "ID_TYPES",
    "INCIDENT_NOTES",
    "INCIDENT_SHARES",
    "NAMES_BY_SCRIPT",
    "PATROL_LOG_STATUSES",
    "PATROL_STATUSES",
    "PLATE_LETTERS",
    "PLATE_SEPARATORS",
    "PLATE_STATES",
    "QUIET_FINDINGS",
    "QUIET_REMARKS",
    "REMARK_ACTIONS",
    "REMARK_OPENINGS",
    "SPECIAL_REMARKS",
    "STATION_NAMES",
    "STRANGER_PURPOSES",
    "SUSPICION_DETAILS",
    "UNEASY_FINDINGS",
    "UNEASY_REMARKS",
    "UNREADABLE_PLATES",
    "WEAPONS",
]

PATROL_STATUSES = ("PLANNED", "IN_PROGRESS", "COMPLETED", "ABORTED")
PATROL_LOG_STATUSES = ("started", "paused", "resumed", "finished")
GEOFENCE_EVENT_TYPES = ("ENTER", "EXIT", "DWELL")
ENTER, EXIT, DWELL = range(3)

# Category -> its share of the incidents (a) at a calm place and (b) at a tense one, in percent.
INCIDENT_SHARES = {
    "MEDICAL": (26, 8),
    "TRAFFIC_ACCIDENT": (22, 8),
    "PUBLIC_DISTURBANCE": (16, 18),
    "DOMESTIC_VIOLENCE": (12, 10),
    "MISSING_PERSON": (8, 4),
    "FIRE": (6, 4),
    "BURGLARY": (6, 18),
    "ASSAULT": (3, 20),
    "ARMED_ROBBERY": (1, 10),
}
EMERGENCY_CATEGORIES = tuple(INCIDENT_SHARES)

STATION_NAMES = (
    "Lakeside",
    "Cotton Market",
    "Old Fort",
    "ಹೊಸಪೇಟೆ (Hosapete)",
    "Railway Colony",
    "Silk Mill Road",
    "Tank Bund",
    "नया बाज़ार (Naya Bazaar)",
    "University Gate",
    "Granite Hill",
    "St. Anne's Cross",
    "Ring Road East",
)

HOTSPOT_NAMES = (
    "Bus stand",
    "Wholesale market",
    "Metro parking",
    "ಕೆರೆ ದಂಡೆ / lake bund",
    "Cinema lane",
    "Liquor shop corner",
    "Warehouse row",
    "Temple street",
    "Under the flyover",
    "Women's hostel",
    "ATM cluster",
    "Night food street",
)

# Script -> (given names, family names or initials); a full name stays within one script.
NAMES_BY_SCRIPT = {
    "latin": (
        ("Anitha", "Farhan", "Girish", "Joseph", "Kavya", "Meena", "Nagaraj", "Rubina", "Suresh", "Vimala"),
        ("D'Souza", "Gowda", "Hegde", "Iyer", "Khan", "Naik", "O'Brien", "Patil", "Rao", "Shetty"),
    ),
    "kannada": (
        ("ಅನಿತಾ", "ಗಿರೀಶ್", "ಕಾವ್ಯ", "ನಾಗರಾಜ್", "ಸುರೇಶ್"),
        ("ಗೌಡ", "ಹೆಗ್ಡೆ", "ನಾಯಕ್", "ಪಾಟೀಲ್", "ಶೆಟ್ಟಿ"),
    ),
    "devanagari": (
        ("अर्जुन", "कविता", "दीपक", "मीना", "सुरेश"),
        ("कुमार", "नायक", "पाटिल", "यादव", "शर्मा"),
    ),
    "tamil": (
        ("அன்பு", "கார்த்திக்", "மீனா", "முருகன்", "செல்வி"),
        ("க.", "செ.", "ப.", "மு.", "ரா."),
    ),
    "urdu": (
        ("فرحان", "روبینہ", "سلیم", "عائشہ", "یوسف"),
        ("احمد", "انصاری", "خان", "شیخ", "قریشی"),
    ),
}

REMARK_OPENINGS = (
    "Checked the spot on foot.",
    "Round completed.",
    "Stopped for ten minutes.",
    "Drove past twice.",
    "Spoke to the watchman.",
    "Second visit tonight.",
    "Point book signed.",
)

QUIET_FINDINGS = (
    "All quiet.",
    "Shutters closed, locks in place.",
    "A few people waiting for the last bus.",
    "Street lights working.",
    "Two autos parked, drivers asleep.",
    "Rain, nobody about.",
)

UNEASY_FINDINGS = (
    "Group of six drinking in the open, dispersed.",
    "Street light out again, third night.",
    "Broken lock on a shutter, owner called.",
    "Argument between two auto drivers, warned.",
    "Motorcycle without plates left on the footpath.",
    "Shopkeeper reports threats from the same two men.",
    "Chain snatching attempt reported by a passer-by.",
)

# Whole remarks: nobody changes script in the middle of one.
QUIET_REMARKS = (
    "ಬೀಟ್ ಪೂರ್ಣ. ಎಲ್ಲವೂ ಶಾಂತ.",
    "ಅಂಗಡಿಗಳು ಮುಚ್ಚಿವೆ, ಬೀಗ ಸರಿಯಾಗಿದೆ.",
    "गश्त पूरी। सब शांत है।",
    "बारिश हो रही है, सड़क खाली।",
    "ரோந்து முடிந்தது. எல்லாம் அமைதி.",
    "گشت مکمل۔ سب ٹھیک ہے۔",
)

UNEASY_REMARKS = (
    "ಗುಂಪು ಗಲಾಟೆ, ಚದುರಿಸಲಾಯಿತು.",
    "ಬೀದಿ ದೀಪ ಇಲ್ಲ, ಮೂರನೇ ರಾತ್ರಿ.",
    "झगड़ा हुआ, चेतावनी दी गई।",
    "दुकान का शटर आधा खुला मिला।",
    "இரண்டு பேர் சண்டை, எச்சரிக்கப்பட்டனர்.",
    "سڑک پر جھگڑا، خبردار کیا گیا۔",
)

REMARK_ACTIONS = (
    "",
    "No action needed.",
    "Will pass again after 02:00.",
    "Asked the control room for a second beat.",
    "Told the owner to repair it.",
    "Photo attached.",
    "Please raise the priority of this place, the evening crew sees the same people here every night "
    "and the residents' association has written to the station about it twice this month.",
)

SPECIAL_REMARKS = (
    "ok",
    "👍",
    "All clear 👮🏽‍♀️✅",
    'Owner said "don\'t worry", left his number',
    "D'Souza & sons shop: shutter half open",
    "path C:\\beats\\night\\4 written on the board",
    "Line one\nline two\n\nline four",
    "item\tcount\nbikes\t3",
    "Windows text\r\nfrom the station PC",
    "'; DROP TABLE remarks; --",
    "{curly} [square] <angle> 100% \\N",
    "NULL",
    "N/A",
    "ಬೆಳಕು ಇಲ್ಲ 💡 — ದುರಸ್ತಿ ಬೇಕು",
    "दुकान का ताला टूटा 🔒, मालिक को फ़ोन किया",
    'விளக்கு எரியவில்லை, "அவசரம்"',
    "دو آدمی مشکوک، نام بتانے سے انکار",
    "  leading and trailing spaces  ",
    "nº 7 — café “Néon” · naïve façade",
    "e\u0301 and é side by side",
)

SUSPICION_DETAILS = (
    "Plate does not match the vehicle's make",
    "Driver fled on foot when stopped",
    "Same car seen circling the ATM three times",
    "Smell of spirits, refused the breath test",
    "Tools and a crowbar on the back seat",
    "No papers; says it is his cousin's, can't name the cousin",
    "Engine number filed off",
    "ನಂಬರ್ ಪ್ಲೇಟ್ ಮಸುಕಾಗಿದೆ",
    "कागज़ात नहीं मिले",
)

# Karnataka first: `texts.plate_numbers` gives the first state four plates in five.
PLATE_STATES = ("KA", "TN", "AP", "TS", "KL", "MH")
PLATE_LETTERS = ("A", "B", "E", "F", "M", "S", "MX", "MQ", "HJ", "JC", "NB", "P", "EA", "Z")
PLATE_SEPARATORS = ("-", " ", "", ".")
UNREADABLE_PLATES = ("NO PLATE", "TEMP/2231", "KA-05-??-????", "covered with mud", "KA O5 MX I234", "-")

STRANGER_PURPOSES = (
    "Waiting for a lift",
    "Returning from night shift",
    "Looking for a hospital",
    "Selling tea",
    "Says he is visiting his brother-in-law",
    "Missed the last train",
    "No clear answer",
    "ಕೆಲಸ ಮುಗಿಸಿ ಮನೆಗೆ",
    "रिश्तेदार से मिलने",
    "வேலை தேடி",
)

ID_TYPES = ("AADHAAR", "DRIVING_LICENCE", "VOTER_ID", "PASSPORT", "COMPANY_CARD", "NONE")

FEEDBACK_TEXTS = (
    "Vehicle brakes need service",
    "Good coordination with the control room",
    "Battery of the body camera died at 02:00",
    "App lost the signal under the flyover for 20 minutes",
    "Need one more officer on this beat at weekends",
    "Torch not working",
    "Tea at the south gate was cold 😅",
    "ರೇಡಿಯೋ ಸರಿಯಾಗಿ ಕೆಲಸ ಮಾಡುತ್ತಿಲ್ಲ",
    "रास्ता खराब है, गाड़ी धीमी",
    "Everything fine",
)

INCIDENT_NOTES = (
    "caller hung up",
    "ambulance requested",
    'crowd gathering, "send a second car"',
    "victim's brother on the scene",
    "ಆಸ್ಪತ್ರೆಗೆ ಕಳುಹಿಸಲಾಗಿದೆ",
    "पीड़ित सुरक्षित है",
    "suspect left towards the ring road",
)

WEAPONS = ("knife", "stick", "broken bottle", "country pistol", "machete")

"""Messages as they come: of banks, payment services and authorities, and codes of ordinary services.

`PROTECTED` and `ORDINARY` are what the rules were written with. `UNSEEN` was written before they were run on it, and
the rules were not changed for it afterwards.
"""

from dataclasses import dataclass

WHATSAPP = "Whatsapp"
TELEGRAM = "Telegram"


@dataclass(frozen=True, slots=True)
class Sample:
    """A message on an order for a service, and whether it is to be withheld."""

    is_protected: bool
    service: str
    text: str
    sender: str = ""


_OTP = (
    "{code} is your OTP for login to {bank} NetBanking. Do not share it with anyone.",
    "Dear Customer, OTP for txn of INR {amount}.00 at AMAZON on {bank} card ending {last} is {code}. Valid for 5 mins. Never share.",
    "{code} is the One Time Password for adding a beneficiary on {bank} Mobile Banking. -{bank}",
    "Your {bank} A/c XX{last} is debited with Rs.{amount} on 12-03-26. OTP {code} to approve. Not you? Call 1800.",
    "OTP to register your device on the {bank} app is {code}. {bank} never asks for it.",
)
_BANKS = (
    "HDFC Bank", "SBI", "ICICI Bank", "Axis Bank", "Kotak Bank", "Punjab National Bank", "Bank of Baroda", "Canara Bank",
    "Union Bank of India", "IDFC FIRST", "IndusInd", "YES BANK", "Federal Bank", "RBL Bank", "IDBI Bank", "AU Bank",
)  # fmt: skip
_WALLETS = ("Paytm", "PhonePe", "Google Pay", "BHIM", "MobiKwik", "Freecharge", "Amazon Pay", "LazyPay")
_WALLET_OTP = (
    "{code} is your OTP to log in to {wallet}. Do not share it.",
    "Use {code} to set your UPI PIN on {wallet}. Never share the OTP with anyone.",
)
_AUTHORITIES = (
    "{code} is OTP for Aadhaar (XX{last}) authentication. Valid for 10 mins. UIDAI",
    "OTP for Aadhaar: {code}. It is valid for 10 minutes. -UIDAI",
    "आपका आधार ओटीपी {code} है। किसी को न बताएं। UIDAI",
    "Your DigiLocker OTP is {code}. Do not share it with anybody.",
    "{code} is your OTP for e-Filing login. Income Tax Department",
    "OTP for PAN card application is {code}. -Protean",
    "{code} is OTP for UAN activation. EPFO never asks for it.",
    "GST Portal: OTP for GSTIN registration is {code}.",
    "Dear applicant, {code} is your OTP for Passport Seva.",
    "OTP for Parivahan Sewa is {code}. Do not share.",
    "{code} is your UMANG login OTP.",
    "Your OTP to register/access CoWIN is {code}. It will be valid for 3 minutes.",
    "{code} is the OTP for e-Shram registration.",
    "OTP for ABHA creation is {code}. Ayushman Bharat",
    "Voter ID: {code} is your OTP. ECI",
    "PM-KISAN eKYC OTP {code}",
    "Udyam registration: OTP {code}, Ministry of MSME",
    "Your HMRC access code is {code}. It expires in 20 minutes.",
    "Your GOV.UK security code is {code}.",
    "{code} is your Login.gov one-time code.",
    "Seu código gov.br é {code}.",
    "Код подтверждения {code}. Госуслуги. Никому не сообщайте.",
    "Singpass: {code} is your SMS OTP.",
    "e-Devlet doğrulama kodunuz: {code}",
    "FranceConnect : votre code est {code}",
)
_FOREIGN = (
    "Сбербанк: код для входа в Сбербанк Онлайн {code}. Никому его не говорите.",
    "Код: {code}. Вход в Тинькофф. Никому не сообщайте код.",
    "ВТБ: код подтверждения {code}",
    "{code} is your Revolut verification code. Don't share it.",
    "Chase Bank: your one-time code is {code}. We will never call you for it.",
    "Wells Fargo: use {code} to sign on. Never share it.",
    "Barclays: {code} is your passcode.",
    "Votre code BNP Paribas : {code}. Ne le communiquez jamais.",
    "Seu código Nubank: {code}. Não compartilhe.",
    "BBVA: tu código es {code} para la operación por 120 €.",
    "Sparkasse: TAN {code} für Ihre Überweisung von 120 €.",
    "PayPal: {code} is your security code. Don't share it.",
    "Cash App: {code} is the sign in code you requested.",
    "Monzo: {code} is your code. Never share it.",
    "Garanti BBVA şifreniz: {code}",
    "M-PESA: your verification code is {code}.",
    "Kode OTP Bank Mandiri Anda {code}. Jangan berikan kepada siapapun.",
    "QIWI: код {code}",
)
_SENDERS = (
    ("VM-HDFCBK-S", "Your OTP is {code}. Do not share it."), ("AD-SBIOTP", "{code} is OTP. Valid 5 min."),
    ("JD-ICICIT-S", "{code} is your one time password."), ("AX-AADHAR", "OTP {code}"),
    ("VK-UIDAIG-G", "{code} is your OTP"), ("BP-PHONPE", "Code {code}"), ("AXISBK", "OTP: {code}"),
    ("JM-EPFOHO", "{code} is OTP"), ("VM-ITDEFL-G", "Dear user, {code} is OTP"), ("TM-KOTAKB", "{code}"),
)  # fmt: skip


def _protected() -> list[Sample]:
    found = []
    for at, bank in enumerate(_BANKS):
        for place, text in enumerate(_OTP):
            code = f"{482913 + 7919 * at + place}"[-6:]
            written = text.format(code=code, bank=bank, amount=499 + at, last=1000 + 37 * at)
            found.append(Sample(True, (TELEGRAM, WHATSAPP, "Google,youtube,Gmail")[place % 3], written))
    for at, wallet in enumerate(_WALLETS):
        found += [Sample(True, WHATSAPP, text.format(code=371924 + at, wallet=wallet)) for text in _WALLET_OTP]
    found += [Sample(True, TELEGRAM, text.format(code=590217, last=4431)) for text in (*_AUTHORITIES, *_FOREIGN)]
    found += [Sample(True, TELEGRAM, text.format(code=620174), sender) for sender, text in _SENDERS]
    found += [  # a bank says the name of the shop that is paid: it is not the shop's message
        Sample(
            True, "Amazon", "OTP for txn of INR 499.00 at AMAZON on HDFC Bank card ending 4431 is 883201. -HDFC Bank"
        ),
        Sample(True, "Flipkart", "918822 is OTP for Rs.1,299 to FLIPKART on your ICICI Bank Credit Card XX4431."),
        Sample(True, "Uber", "Axis Bank: 551209 is OTP for transaction of INR 230 at UBER with card ending 9921"),
    ]
    return found


_CODES = (
    "{name} code: {code}. Don't share this code with others",
    "Your {name} verification code is {code}",
    "{code} is your {name} OTP. Do not share it with anyone.",
    "Код подтверждения {name}: {code}. Никому не сообщайте его.",
    "Tu código de {name} es {code}. No lo compartas.",
    "Ihr {name}-Code lautet {code}.",
)
_NAMES = (
    "Telegram", "WhatsApp", "Google", "Instagram", "Facebook", "Uber", "Amazon", "Flipkart", "Discord", "Tinder",
    "Microsoft", "Swiggy", "Zomato", "Netflix", "Airbnb", "Viber",
)  # fmt: skip
_ORDINARY_ALONE = (
    (TELEGRAM, "Telegram code 48291"), (TELEGRAM, "Login code: 48291. Do not give this code to anyone, even if they say they are from Telegram!"),
    (TELEGRAM, "Код 48291"), (WHATSAPP, "Your WhatsApp code: 123-456\nYou can also tap on this link: v.whatsapp.com/123456\nDon't share this code"),
    (WHATSAPP, "<#> Seu código do WhatsApp: 123-456 4sgLq1p5sV6"), (WHATSAPP, "आपका WhatsApp कोड 123-456 है"),
    (WHATSAPP, "Код WhatsApp 123-456. Не передавайте его другим."), ("Google,youtube,Gmail", "G-482913 is your Google verification code."),
    ("Google,youtube,Gmail", "G-482913 — ваш код подтверждения Google."), ("Google,youtube,Gmail", "G-482913 es tu código de verificación de Google."),
    ("Instagram", "123 456 is your Instagram code. Don't share it."), ("facebook", "48291 is your Facebook confirmation code"),
    ("Uber", "Your Uber code is 4829. Never share this code. Uber will not ask for your card or bank details."),
    ("Amazon", "482913 is your Amazon OTP. Do not share it with anyone."),
    ("Amazon", "482913 is your Amazon OTP. Amazon will never call you to verify your bank account or debit card."),
    ("Flipkart", "482913 is your Flipkart login OTP. Get 10% off with HDFC Bank cards!"),
    ("Flipkart", "Flipkart: OTP 482913. Sale on: extra 5% with Axis Bank Credit Card."),
    ("Swiggy", "4829 is your Swiggy OTP. Flat Rs 100 off with Paytm."),
    ("Zomato", "Your Zomato OTP is 4829. Pay with Google Pay and save."),
    ("Discord", "Your Discord verification code is: 482913"), ("Tinder", "Your Tinder code is 482913 Don't share @tinder.com #482913"),
    ("Microsoft", "Use verification code 482913 for Microsoft authentication."), ("Microsoft", "Microsoft access code: 4829"),
    ("Netflix", "482913 is your Netflix verification code."), ("Apple", "Your Apple Account code is: 482913. Do not share it with anyone."),
    ("VK", "VK: 48291 - код для входа. Никому не сообщайте"), ("OK", "OK: 482913 — код подтверждения"),
    ("Avito", "Ваш код 48291. Никому не говорите. Avito"), ("Yandex", "Ваш код подтверждения: 482-913. Наберите его в поле ввода. Yandex"),
    ("Airbnb", "Your Airbnb verification code is: 482913. Don't share this code with anyone; our employees will never ask."),
    ("Line", "[LINE] 人證碼 482913。請勿告知他人"), ("WeChat", "【腾讯科技】微信验证码：482913"), ("KakaoTalk", "[카카오] 인증번호 482913"),
    ("Ola", "4829 is your OTP for Ola. Do not share."), ("Rapido", "Rapido OTP: 4829"), ("Zepto", "4829 is the OTP for Zepto login"),
    ("Meesho", "482913 is your OTP for Meesho"), ("Snapchat", "Snapchat Code: 482913. Happy Snapping!"),
    ("Twitter", "Your X confirmation code is 48291."), ("TikTok", "[TikTok] 482913 is your verification code"),
    ("Steam", "Your Steam verification code is 4829A"), ("Signal", "Your Signal code: 482-913. Do not share this code"),
    ("OpenAI", "Your OpenAI verification code is: 482913"), ("Claude", "482913 is your verification code for Claude"),
    ("LinkedIn", "Your LinkedIn verification code is 482913."), ("Bolt", "Your Bolt code: 4829"), ("Grab", "Grab: 482913 is your activation code"),
    ("Shopee", "Kode verifikasi Shopee Anda 482913. JANGAN BERIKAN kode kepada siapapun"), ("Gojek", "Kode OTP Gojek: 4829. Jangan kasih ke siapa pun"),
    ("Mercado", "Tu código de Mercado Libre es 482913"), ("iFood", "Seu código iFood é 482913"), ("Vinted", "Votre code Vinted: 4829"),
    ("Leboncoin", "Votre code leboncoin est 482913"), ("OLX", "Your OLX code is 482913"), ("Bumble", "482913 is your Bumble code. Don't share"),
    ("Careem", "رمز التحقق الخاص بك هو 4829 Careem"), ("Trendyol", "Trendyol doğrulama kodunuz 482913"), ("Getir", "Getir kodunuz: 4829"),
    ("Booking", "Your Booking.com verification code is 482913. We never ask for credit card details by SMS."),
    ("Nike", "Your Nike verification code is 482913"), ("IRCTC", "IRCTC OTP for login is 482913"),
    ("MakeMyTrip", "482913 is your MakeMyTrip OTP. Book with ICICI Bank cards & save Rs. 500."),
    ("Blinkit", "4829 is your OTP to log in to Blinkit"), ("BigBasket", "OTP for BigBasket is 482913"),
    ("Any other", "Your code is 4829"), ("Any other", "482913"), ("Any other", "Verification code: 482913. Valid 10 minutes."),
    ("Any other", "Ваш код: 4829"), ("Any other", "Tu código es 482913"), ("Any other", "Ihr Code: 482913"), ("Any other", "Votre code : 4829"),
    ("Any other", "您的验证码是482913，5分钟内有效"), ("Any other", "Your account code is 482913. Never share it with anybody."),
    ("Any other", "482913 is your one-time password for Example Forum. Transaction id 8831 is for support."),
    (TELEGRAM, ""), (WHATSAPP, "482913"),
    ("Any other", "Hi Umang, your code is 4829"), ("Any other", "Dear Bhim Kotak, OTP 4829 for your visit"), ("Any other", "Abha, your code: 4829"),
)  # fmt: skip


def _ordinary() -> list[Sample]:
    found = [
        Sample(False, name, text.format(name=name, code=482913 + 31 * at))
        for at, name in enumerate(_NAMES)
        for text in _CODES
    ]
    return found + [Sample(False, service, text) for service, text in _ORDINARY_ALONE]


PROTECTED = _protected()
ORDINARY = _ordinary()
UNSEEN = [
    Sample(True, TELEGRAM, "Never share your OTP. 771203 is OTP for Rs 25,000.00 transfer to payee RAMESH via NEFT. - Karnataka Bank"),
    Sample(True, WHATSAPP, "Use OTP 339120 to activate UPI on your device. Bank will never ask for UPI PIN."),
    Sample(True, WHATSAPP, "Dear SBI User, your A/c X4431-debited by Rs250 on 11Mar26 trf to RAVI Refno 607012. If not u? call 1800111109 -SBI"),
    Sample(True, TELEGRAM, "OTP for online purchase of INR 799 on card xx4431 is 440211. Not you? Call us."),
    Sample(True, TELEGRAM, "Groww: 550192 is your OTP to verify your mobile number."),
    Sample(True, TELEGRAM, "556120 is your OTP for linking Aadhar with mobile."),
    Sample(True, TELEGRAM, "Your demat account opening OTP is 882019"),
    Sample(True, WHATSAPP, "Bajaj Finserv: OTP for EMI card is 901244"),
    Sample(True, TELEGRAM, "661209 is the OTP for logging in to your Navi loan account"),
    Sample(True, WHATSAPP, "OTP for linking your mobile number to ration card is 3312"),
    Sample(True, TELEGRAM, "Ваш код 4421 для входа в Альфа-Банк"),
    Sample(True, TELEGRAM, "Santander: tu código OTP es 882134 para la compra de 89,90€"),
    Sample(True, TELEGRAM, "Din kode til MitID er 882134"),
    Sample(True, WHATSAPP, "Your Stripe verification code is: 882-134."),
    Sample(True, WHATSAPP, "882134 is your Zerodha Kite login OTP"),
    Sample(True, TELEGRAM, "CIBIL: 882134 is your OTP to view your score"),
    Sample(True, TELEGRAM, "eSign OTP 882134 for document signing using Aadhaar"),
    Sample(True, "Amazon", "882134 is OTP for payment of Rs.2,300 at Amazon Pay via SBI Card XX4431"),
    Sample(False, "Blinkit", "Use 8821 to confirm your order on Blinkit. Pay the rider by UPI or cash."),
    Sample(False, "Uber", "Uber: your trip OTP is 8821. Amount Rs 240 will be charged to your card."),
    Sample(False, "Jiomart", "OTP 882134 for JioMart. Flat 10% off with SBI cards!"),
    Sample(False, "PUBG", "PUBG code 882134"),
    Sample(False, "Spotify", "Spotify: 882134. Ne partagez ce code avec personne"),
    Sample(False, "Any other", "Dear customer, 8821 is OTP to confirm delivery of your order. Amount due Rs 499. Share it with the rider."),
    Sample(False, "Any other", "Welcome! Your sign-in code: 882134. Call support if you have questions about your account."),
    Sample(False, "Lidl", "Dein Lidl Plus Code: 882134"),
    Sample(False, "Baidu", "【百度】验证码882134，请勿泄露"),
    Sample(False, "Naver", "[네이버] 인증번호 [882134]를 입력해주세요"),
    Sample(False, "Wolt", "Wolt-koodisi on 88213"),
    Sample(False, "Depop", "Your Depop code is 8821. We will never ask for your PayPal password."),
    Sample(False, "Ozon", "Код 882134 для входа в Ozon. Скидка с картой Ozon Банка!"),
    Sample(False, "Wildberries", "Код 882134. Wildberries"),
    Sample(False, "Olacabs", "Your OTP for your ride is 8821. Ola Money balance: Rs 120"),
    Sample(False, "Dream11", "882134 is your OTP for Dream11. Verify PAN later in the app."),
    Sample(False, "Yahoo", "Yahoo: 882134 is your account key"),
    Sample(False, "Any other", "Your appointment at Apollo is confirmed. OTP 8821 at the desk, payment of Rs 500 on arrival."),
]  # fmt: skip

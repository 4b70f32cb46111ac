"""A client for a server, by the protocol that it speaks."""

from core.images.pacs.credentials import find_certificate, find_credentials
from core.images.pacs.questions import Client
from core.images.pacs.records import Pacs
from core.settings import Settings


def client_of(settings: Settings, pacs: Pacs) -> Client:
    """Whoever is asked signs in as the administrator said; nothing is asked yet.

    Raises:
        InvalidInput: the stored password cannot be read.
    """
    credentials = find_credentials(settings, pacs.id, pacs.name)
    if pacs.protocol == "dicomweb":
        from core.images.pacs.web import DicomWeb

        return DicomWeb(pacs, credentials)
    # It knows every SOP class by name, which takes a while that no other command should wait for.
    from core.images.pacs.dimse import Dimse

    return Dimse(pacs, credentials, find_certificate(pacs.name))

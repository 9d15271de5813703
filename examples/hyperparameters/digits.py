"""A classifier of handwritten digits; it does not know simkit."""

from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler


def data(size=600, random_state=0):
    """Scaled images and their digits: two thirds to learn from, one third to judge by."""
    images, digits = load_digits(return_X_y=True)
    parts = train_test_split(images[:size], digits[:size], test_size=1 / 3, random_state=random_state)
    scaler = StandardScaler().fit(parts[0])
    return scaler.transform(parts[0]), scaler.transform(parts[1]), parts[2], parts[3]


def classifier(alpha, penalty, l1_ratio, random_state):
    """A linear classifier that learns a pass at a time."""
    return SGDClassifier(alpha=alpha, penalty=penalty, l1_ratio=l1_ratio, random_state=random_state)
